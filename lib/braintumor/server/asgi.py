"""The ASGI app: MONAI Label's API, ours, the archive's DICOMweb door and the viewer, in one process without a blocked loop.

Started by ``braintumor serve STUDIES``, or by MONAI Label's own command::

    monailabel start_server --app apps/braintumor --studies STUDIES --uvicorn_app braintumor.server.asgi:app
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from braintumor.server import upstream  # before the first import of monailabel

from fastapi import FastAPI  # isort: skip
from fastapi.concurrency import run_in_threadpool  # isort: skip
from fastapi.responses import RedirectResponse, Response  # isort: skip
from monailabel.endpoints import activelearning, datastore, infer, info  # isort: skip
from monailabel.interfaces.utils.app import app_instance  # isort: skip

from braintumor import __version__
from braintumor.server import dicomweb, problems, viewer
from braintumor.server.api import jobs, learning, masks, reports, stock, studies, tracking
from braintumor.server.main import BrainTumorApp

UPSTREAM = (info, infer, activelearning, datastore)
"""MONAI Label's routers that are served as they are, off the event loop; `stock` has its long work. Left out: sign-in that
refuses every token, uploads of model files, logs, the DICOM proxy and the old viewer (ours: `dicomweb`, `viewer`)."""


def create_app() -> FastAPI:
    """The app for the folder or archive that MONAI Label's settings name."""
    logging.getLogger("monailabel").setLevel(logging.WARNING)  # it would log every request with its parameters
    logging.getLogger("pydicom").setLevel(logging.ERROR)  # its warnings quote values, and a value may name a patient
    warnings.filterwarnings("ignore", module=r"pydicom\.")
    served: BrainTumorApp = app_instance()
    work = served.workspace

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(served.on_init_complete)
        yield
        await run_in_threadpool(work.close)

    app = FastAPI(
        title="Brain tumour server",
        version=__version__,
        description="Segmentation, correction and retraining for four-sequence brain MR. Research use only.",
        lifespan=lifespan,
    )
    problems.install(app)
    app.state.workspace = work
    for ours in (studies, masks, tracking, reports, jobs, learning, stock):
        app.include_router(ours.router)
    for module in UPSTREAM:
        app.include_router(upstream.offloaded(module.router))
    app.include_router(dicomweb.router(work.store), prefix="/dicom-web")

    @app.get("/", include_in_schema=False)
    def start() -> Response:
        return RedirectResponse("/ohif/")

    @app.get("/healthz", tags=["operation"])
    def alive() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    viewer.mount(app)
    return app


def __getattr__(name: str) -> FastAPI:
    """`app`, made when uvicorn asks for it: MONAI Label has set the studies by then."""
    if name != "app":
        raise AttributeError(name)
    made = create_app()
    globals()["app"] = made
    return made
