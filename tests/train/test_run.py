"""Cross-validation and final training of a data set that comes without folds, as a user's own does."""

import json

import nibabel as nib
import numpy as np
import pytest

from braintumor import phantom
from braintumor.datasets import find_cases, read
from braintumor.domain import InputNotFoundError
from braintumor.train import run

NETWORK = {"channels": [4, 4, 4, 4, 4], "context": 0, "attention": False, "cbam": False}
TRAIN = {"steps": 2, "batch": 2, "size": [32, 32], "full_steps": 1, "full_batch": 1, "warmup": 1}


def configuration(folder, **more):
    content = {"volumes": "mine", "slices": "", "partial": "", "network": NETWORK, "train": TRAIN, "facts": {}, **more}
    path = folder / "train.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for seed in range(5):
        visit = phantom.make(phantom.PhantomOptions(seed=seed, spacing_mm=(6.0, 6.0, 6.0), skull=False))[0]
        phantom.write_nifti(visit, folder / "mine" / f"BraTS2021_0000{seed}")
    return folder


def test_folds_are_dealt_kept_and_every_patient_is_predicted_by_a_network_that_never_saw_him(data, tmp_path):
    lines = list(run.run_folds(configuration(tmp_path), data, tmp_path / "cv", [0, 3], lambda facts: None))
    folds = json.loads((tmp_path / "cv" / "folds.json").read_text())["folds"]
    assert sorted(name for fold in folds for name in fold) == sorted(case.name for case in find_cases(data / "mine"))
    tested = [*folds[0], *folds[3]]
    assert [line.split()[0] for line in lines[1:-1]] == tested
    for case in find_cases(data / "mine"):
        predicted = tmp_path / "cv" / "predictions" / f"{case.name}.nii.gz"
        assert predicted.exists() == (case.name in tested)
        if predicted.exists():
            assert nib.load(predicted).shape == read(case)[1].mask.shape
    held = json.loads((tmp_path / "cv" / "fold-0" / "model" / "configs" / "metadata.json").read_text())["heldout"]
    assert held == folds[0]

    before = (tmp_path / "cv" / "fold-0" / "checkpoint.pt").stat().st_mtime_ns
    again = list(run.run_folds(configuration(tmp_path), data, tmp_path / "cv", [0, 3], lambda facts: None))
    assert again == lines
    assert (tmp_path / "cv" / "fold-0" / "checkpoint.pt").stat().st_mtime_ns == before


def test_final_weights_come_from_everybody(data, tmp_path):
    seen = []
    model = run.run_all(configuration(tmp_path), data, tmp_path / "run", None, seen.append)
    assert (model / "models").is_dir()
    assert seen[-1]["step"] == TRAIN["steps"]


def test_a_case_that_is_named_and_not_there_is_said(data, tmp_path):
    names = [["BraTS2021_00000"], ["BraTS2021_99999"]]
    (tmp_path / "folds.json").write_text(json.dumps({"seed": 0, "k": 2, "groups": [], "folds": names}))
    with pytest.raises(InputNotFoundError, match="BraTS2021_99999"):
        list(run.run_folds(configuration(tmp_path, folds="folds.json"), data, tmp_path / "cv", [0], lambda facts: None))


def test_masks_that_tell_only_the_whole_tumour_are_refused(data, tmp_path):
    folder = tmp_path / "mine" / "imagesTr"
    for place in (folder, tmp_path / "mine" / "labelsTr"):
        place.mkdir(parents=True)
    case = find_cases(data / "mine")[0]
    for number, volume in enumerate(case.volumes.values()):
        (folder / f"a_{number:04d}.nii.gz").write_bytes(volume.path.read_bytes())
    image = nib.load(case.truth)
    nib.save(
        nib.Nifti1Image((np.asarray(image.dataobj) > 0).astype(np.uint8), image.affine), tmp_path / "mine/labelsTr/a.nii.gz"
    )
    content = {
        "channel_names": {str(n): sequence.value for n, sequence in enumerate(case.volumes)},
        "labels": {"background": 0, "whole tumor": 1},
        "numTraining": 1,
        "file_ending": ".nii.gz",
    }
    (tmp_path / "mine" / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(InputNotFoundError, match="do not tell all regions apart"):
        run.run_all(configuration(tmp_path), tmp_path, tmp_path / "run", None, lambda facts: None)
