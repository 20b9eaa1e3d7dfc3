"""The label server: MONAI Label's API, our routes, the archive's DICOMweb door and the viewer.

`asgi` builds the app; `main`, `tasks` and `datastore` are what MONAI Label asks for; `workspace` wires archive, models, jobs,
masks, labels and learning once; `studies`, `masks`, `labels` and `learning` do the work without a web framework; `api/` has the
routes; `upstream` is what MONAI Label 0.8.5 needs to run here.
"""
