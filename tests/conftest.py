"""Fixtures shared by all tests: small phantoms made once, and the real cases where they are present."""

import os

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.data import real_data

# The same examples in every run, so that a red build is reproducible; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def phantom():
    """A skull-stripped phantom visit at 3 mm: `braintumor.phantom.PhantomVisit`."""
    from braintumor import phantom as generator  # here, as below, so that a file that needs none of it starts quickly

    return generator.make(generator.PhantomOptions(seed=7, spacing_mm=(3.0, 3.0, 3.0), skull=False))[0]


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """`once("place/name", make)`: a folder that `make(folder)` writes in whichever worker asks first; read only."""
    base = tmp_path_factory.getbasetemp()
    top = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "once"

    def _once(path, make):
        folder = top / path
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = top / f"{folder.parent.name}.made"
        with FileLock(made.with_suffix(".lock")):
            if not made.exists():
                make(folder)
                made.touch()
        return folder

    return _once


@pytest.fixture(scope="session")
def dicom_study(request, once):
    """A DICOM folder with the phantom's four series; read only, copy it before changing anything."""
    from braintumor.phantom import write_dicom

    return once("dicom/study", lambda folder: write_dicom(request.getfixturevalue("phantom"), folder))


@pytest.fixture(scope="session")
def nifti_study(request, once):
    """The same phantom as a BraTS-style folder; read only."""
    from braintumor.phantom import write_nifti

    return once("nifti/PHANTOM_0007", lambda folder: write_nifti(request.getfixturevalue("phantom"), folder))


@pytest.fixture(scope="session")
def dicom_results(dicom_study, once):
    """The folder of the whole line's results for `dicom_study`; read only."""
    from braintumor import pipeline

    return once("results/out", lambda folder: pipeline.run(dicom_study, folder))


@pytest.fixture(scope="session")
def brats():
    """The folder of real BraTS cases."""
    return real_data("brats")


@pytest.fixture(scope="session")
def raw_case():
    """A real study as scanned: four grids, skull on, not registered."""
    return real_data("raw", "TCGA-FG-6692")
