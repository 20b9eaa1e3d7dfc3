"""The archive as MONAI Label's datastore: a sample is a study, named by its own UID or by that of any of its series."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from braintumor.domain import SubmissionError, write_json, write_nifti
from braintumor.server.layout import from_file
from braintumor.server.workspace import Workspace

UNNAMED = "MONAI Label client"
"""Author of a label whose client says nobody's name."""


class StudyDatastore(Datastore):  # type: ignore[misc]  # MONAI Label is untyped
    """Images are studies of the archive; labels are its DICOM SEG objects.

    Files that stock clients ask for (3D Slicer downloads images and labels as NIfTI) are made when they are asked for. What
    clients want to remember of an image or label is kept in the server's state folder, not in the archive.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._work = workspace
        self._files = workspace.settings.state / "files"
        self._files.mkdir(parents=True, exist_ok=True)
        self._notes = workspace.settings.state / "notes.json"
        self._lock = threading.Lock()

    def name(self) -> str:
        return "studies"

    def set_name(self, name: str) -> None:
        """The archive's name is not ours to change."""

    def description(self) -> str:
        return "MR studies of a DICOM archive; one sample is one study of up to four sequences"

    def set_description(self, description: str) -> None:
        """The archive's description is not ours to change."""

    def series_of(self, image_id: str) -> tuple[str, str]:
        """Study and series UID that an image id means: a study stands for the series its results are written on."""
        entry, series = self._work.studies.locate(image_id)
        if series is not None:
            return entry.uid, series.uid
        return entry.uid, self._work.studies.prepared(entry.uid).study.reference.uid

    def list_images(self) -> list[str]:
        return [entry.uid for entry in self._work.store.studies()]

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        return [e.uid for e in self._work.store.studies() if self._work.labels.human(e) is not None]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        return [e.uid for e in self._work.store.studies() if self._work.labels.human(e) is None]

    def get_image(self, image_id: str, params: Any = None) -> bytes:
        return Path(self.get_image_uri(image_id)).read_bytes()

    def get_image_uri(self, image_id: str) -> str:
        """A NIfTI file of the series."""
        study_uid, series_uid = self.series_of(image_id)
        fingerprint = self._work.store.study(study_uid).fingerprint[:16]
        path = self._files / f"{series_uid}-{fingerprint}.nii.gz"
        if not path.exists():
            series, _ = self._work.studies.prepared(study_uid).series(series_uid)
            write_nifti(path, series.image.voxels, series.image.grid)
        return str(path)

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        entry, series = self._work.studies.locate(image_id)
        facts = self._work.studies.facts(entry.uid)
        used = {f.sequence.value: uid for uid, f in facts.series.items() if f.sequence is not None}
        first = series.uid if series is not None else next(iter(facts.references), "")
        info = {
            "StudyInstanceUID": entry.uid,
            "SeriesInstanceUID": first,
            "StudyDate": entry.date.isoformat() if entry.date else "",
            "sequences": used,
            "flags": [flag.as_dict() for flag in facts.flags],
        }
        return info | self._note("image", image_id)

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        self._work.studies.locate(image_id)
        self._take_note("image", image_id, info)

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        study_uid = self._work.studies.locate(image_id)[0].uid
        found = {}
        human = self._work.labels.human(study_uid)
        if human is not None:
            found[DefaultLabelTag.FINAL.value] = human.uid
        record = self._work.masks.known(study_uid)
        if record is not None:
            found[DefaultLabelTag.ORIGINAL.value] = f"{study_uid}/model:{record.model_version}"
        return found

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        return self.get_labels_by_image_id(image_id).get(_tag(tag), "")

    def get_label(self, label_id: str, label_tag: str, params: Any = None) -> bytes:
        return Path(self.get_label_uri(label_id, label_tag)).read_bytes()

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """A NIfTI file of the label on the grid of the series it was drawn on."""
        study_uid, version = self._label(label_id, label_tag)
        if version.startswith("model:"):
            series_uid = self.series_of(study_uid)[1]
        else:
            series_uid = next(v.referenced_series for v in self._work.labels.versions(study_uid) if v.uid == version)
        mask, _ = self._work.labels.mask(study_uid, series_uid, version)
        path = self._files / f"{series_uid}-{version.replace(':', '-')}.nii.gz"
        if version.startswith("model:") or not path.exists():
            write_nifti(path, mask.mask, mask.grid)
        return str(path)

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        study_uid, version = self._label(label_id, label_tag)
        known = next((v for v in self._work.labels.versions(study_uid) if v.uid == version), None)
        facts = {} if known is None else {"author": known.author, "kind": known.kind, "change": known.change}
        return facts | self._note("label", label_id)

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        self._label(label_id, label_tag)
        self._take_note("label", label_id, info)

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """A corrected label into the archive. What a model made is not stored as if a person had."""
        study_uid, series_uid = self.series_of(image_id)
        if _tag(label_tag) != DefaultLabelTag.FINAL.value:
            raise SubmissionError(
                "Only labels that a person has finished are stored",
                remedy="Submit with the tag 'final'; the server keeps its own",
            )
        mask = from_file(Path(label_filename), self._work.labels.grid(study_uid, series_uid))
        author = str(label_info.get("annotator") or label_info.get("user") or label_info.get("client_id") or UNNAMED)
        version = self._work.labels.submit(study_uid, series_uid, mask, author)
        self._take_note("label", version.uid, {k: v for k, v in label_info.items() if k in ("label_names", "segments")})
        return version.uid

    def datalist(self) -> list[dict[str, Any]]:
        return [
            {"image": self.get_image_uri(uid), "label": self.get_label_uri(self.get_label_by_image_id(uid, "final"), "final")}
            for uid in self.get_labeled_images()
        ]

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        path = self._files / "dataset.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for item in self.datalist()[:limit_cases]:
                for kind, file in item.items():
                    archive.write(file, f"{kind}s/{Path(file).name}")
        return str(path)

    def refresh(self) -> None:
        """New studies appear by themselves."""

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        raise SubmissionError("Images are not uploaded here", remedy="Send the study to the archive (STOW-RS or C-STORE)")

    def remove_image(self, image_id: str) -> None:
        raise SubmissionError("Images are not deleted here", remedy="Delete the study in the archive")

    def remove_label(self, label_id: str, label_tag: str) -> None:
        raise SubmissionError("Submitted labels are kept", remedy="Submit a better one; the newest is the label")

    def status(self) -> dict[str, Any]:
        total, labelled = len(self.list_images()), len(self.get_labeled_images())
        return {"total": total, "completed": labelled, "label_tags": {"final": labelled}, "train": []}

    def json(self) -> dict[str, Any]:
        return {
            "name": self.name(),
            "description": self.description(),
            "objects": {uid: {"labels": {"tags": self.get_labels_by_image_id(uid)}} for uid in self.list_images()},
        }

    def _label(self, label_id: str, tag: str) -> tuple[str, str]:
        """Study UID and version of a label id: a SEG's UID, ``<study>/model:<version>``, or an image id with a tag."""
        study_uid, found, version = label_id.partition("/")
        if found:
            return study_uid, version
        for uid in self.list_images():
            if any(stored.uid == label_id for stored in self._work.store.labels(uid)):
                return uid, label_id
        entry, _ = self._work.studies.locate(label_id)
        newest = self.get_label_by_image_id(entry.uid, tag)
        if not newest:
            raise SubmissionError("The study has no such label", remedy="Ask /datastore/?output=all for what there is")
        return self._label(newest, tag)

    def _note(self, kind: str, uid: str) -> dict[str, Any]:
        with self._lock:
            notes: Mapping[str, Any] = json.loads(self._notes.read_text()) if self._notes.exists() else {}
        return dict(notes.get(f"{kind} {uid}", {}))

    def _take_note(self, kind: str, uid: str, info: Mapping[str, Any]) -> None:
        with self._lock:
            notes = json.loads(self._notes.read_text()) if self._notes.exists() else {}
            notes.setdefault(f"{kind} {uid}", {}).update(info)
            write_json(self._notes, notes)


def _tag(tag: Any) -> str:
    return str(getattr(tag, "value", tag) or DefaultLabelTag.FINAL.value)
