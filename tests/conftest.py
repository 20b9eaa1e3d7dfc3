"""Fixtures shared by all tests: small phantoms made once, and the real cases where they are present."""

import os

import pytest
from hypothesis import settings

from braintumor import phantom as generator
from tests.data import real_data

# The same examples in every run, so that a red build is reproducible; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def phantom():
    """A skull-stripped phantom visit at 3 mm: `braintumor.phantom.PhantomVisit`."""
    return generator.make(generator.PhantomOptions(seed=7, spacing_mm=(3.0, 3.0, 3.0), skull=False))[0]


@pytest.fixture(scope="session")
def dicom_study(phantom, tmp_path_factory):
    """A DICOM folder with the phantom's four series; read only, copy it before changing anything."""
    folder = tmp_path_factory.mktemp("dicom") / "study"
    generator.write_dicom(phantom, folder)
    return folder


@pytest.fixture(scope="session")
def nifti_study(phantom, tmp_path_factory):
    """The same phantom as a BraTS-style folder; read only."""
    return generator.write_nifti(phantom, tmp_path_factory.mktemp("nifti") / "PHANTOM_0007")


@pytest.fixture(scope="session")
def brats():
    """The folder of real BraTS cases."""
    return real_data("brats")


@pytest.fixture(scope="session")
def raw_case():
    """A real study as scanned: four grids, skull on, not registered."""
    return real_data("raw", "TCGA-FG-6692")
