"""One phantom patient at two dates, tumour grown and head moved, shared by the tests of tracking."""

import pytest

from braintumor import phantom as generator

OPTIONS = generator.PhantomOptions(
    seed=7, spacing_mm=(3.0, 3.0, 3.0), skull=False, visits=2, growth=1.5, shift_mm=20.0, turn_deg=18.0, tumour_ml=40.0
)


@pytest.fixture(scope="session")
def two_visits():
    """Two `braintumor.phantom.PhantomVisit`: 40 mL, and 60 mL 90 days later in a head moved by 20 mm and 18 degrees."""
    return generator.make(OPTIONS)


@pytest.fixture(scope="session")
def folders(two_visits, tmp_path_factory):
    """The two visits as BraTS-style folders with T1ce, FLAIR and true mask; read only, copy before changing anything."""
    home = tmp_path_factory.mktemp("track")
    made = [generator.write_nifti(visit, home / f"VISIT_{n}") for n, visit in enumerate(two_visits)]
    for folder in made:  # two sequences are half the work of four
        for name in ("t1", "t2"):
            (folder / f"{folder.name}_{name}.nii.gz").unlink()
    return made
