"""``braintumor serve``: the annotation server with its viewer, on a folder of studies or a DICOMweb archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from braintumor import server
from braintumor.cli import console
from braintumor.domain import InputNotFoundError, NotInstalledError
from braintumor.study.dicomweb import is_url


def serve(
    studies: Annotated[str, typer.Argument(help="Folder of DICOM studies, or a DICOMweb address (https://host/dicom-web).")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for every network this machine is in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    state: Annotated[
        Path | None, typer.Option(help="Folder for model versions, caches and training; kept between starts.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder to start from.")] = None,
    engine: Annotated[str, typer.Option(help="Inference engine, see `braintumor run --help`.")] = "auto",
    replay: Annotated[Path | None, typer.Option(help="Folder of old training cases to go through again.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of one retraining.")] = 200,
    notes: Annotated[
        Path | None, typer.Option(help="Folder of notes for reports, with a folder for each patient, named by Patient ID.")
    ] = None,
    order: Annotated[
        str | None, typer.Option(metavar="URL", help="FHIR server to ask why a study was ordered, by its accession number.")
    ] = None,
    signing_key: Annotated[
        Path | None,
        typer.Option(
            metavar="P12", help="Key that signs final reports; its passphrase is read from BRAINTUMOR_KEY_PASSPHRASE."
        ),
    ] = None,
) -> None:
    """Serve the viewer and MONAI Label's API for a folder or archive.

    Open http://localhost:8000/ in a browser: choose a study, press Segment, correct the mask, submit it, train. Stock MONAI
    Label clients (the OHIF plug-in, 3D Slicer) connect to the same address. User and password of an archive are read from
    MONAI_LABEL_DICOMWEB_USERNAME and MONAI_LABEL_DICOMWEB_PASSWORD.

    [dim]braintumor serve demo/study[/]
    """
    try:
        import uvicorn
        from monailabel.config import settings

    except ImportError as error:
        raise NotInstalledError("The server is not installed", remedy="Install braintumor[server]") from error
    values = {"state": state, "model": model, "engine": engine, "replay": replay, "steps": steps, "signing_key": signing_key}
    values |= {"notes": notes, "order": order}
    settings.MONAI_LABEL_APP_DIR = str(Path(server.__file__).parent)
    settings.MONAI_LABEL_STUDIES = studies if is_url(studies) else str(_folder(studies))
    settings.MONAI_LABEL_APP_CONF = {key: str(value) for key, value in values.items() if value is not None}
    console.out.print(f"Serving [bold]{studies}[/] at [bold]http://{host}:{port}/[/]   (stop with Ctrl+C)", soft_wrap=True)
    uvicorn.run("braintumor.server.asgi:app", host=host, port=port, log_level="warning", timeout_graceful_shutdown=10)


def _folder(studies: str) -> Path:
    """The folder, which must be there: a mistyped name must not become an empty archive."""
    path = Path(studies).expanduser().resolve()
    if not path.is_dir():
        raise InputNotFoundError("The folder of studies does not exist", remedy="Check the path", path=path)
    return path
