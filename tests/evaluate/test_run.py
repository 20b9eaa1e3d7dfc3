"""`braintumor evaluate` as a person and as a script uses it."""

import csv
import json
import re

import numpy as np
import pytest
from PIL import Image

from braintumor.domain import Author, Grid, MissingSequenceError, MRSequence, Segmentation
from braintumor.evaluate.model import limited
from braintumor.evaluate.pictures import picture
from braintumor.train.data import load_case
from tests.cli.test_cli import call
from tests.evaluate.volumes import SHAPE, case_folder, class_probabilities, save, tumour

FILES = {"cases.csv", "summary.csv", "summary.json", "dice.png", "worst.png", "report.html"}


@pytest.fixture
def place(tmp_path):
    """Three cases; the second is predicted a little off, the third has no enhancing tumour and one is predicted."""
    quiet = np.where(tumour() == 4, 1, tumour()).astype(np.uint8)
    for name, truth, predicted in (
        ("BraTS2021_01", tumour(), tumour()),
        ("BraTS2021_02", tumour(), tumour(2)),
        ("BraTS2021_03", quiet, tumour()),
    ):
        case_folder(tmp_path / "truth", name, truth)
        save(tmp_path / "masks" / f"{name}.nii.gz", predicted)
    return tmp_path


def summary(out):
    return json.loads((out / "summary.json").read_text())


def test_the_report_is_whole_and_needs_nothing_from_elsewhere(place, capsys):
    out = place / "out"
    assert call("evaluate", place / "masks", place / "truth", "-o", out) == 0
    assert {p.name for p in out.iterdir()} == FILES
    shown = capsys.readouterr()
    assert [line for line in shown.err.splitlines() if line] == [f"{n}/3 BraTS2021_0{n}" for n in (1, 2, 3)]
    regions = summary(out)["regions"]
    assert f"{regions['WT']['dice']['mean']:.3f}" in shown.out
    assert "enhancing tumour in 1 of 3 cases (--empty brats)" in shown.out
    page = (out / "report.html").read_text()
    assert not re.search(r'(?:src|href)="(?!data:)|@import|url\(|<script', page)
    assert page.count("data:image/png;base64,") == 1
    assert "BraTS2021_02" in page
    assert summary(out)["empty_policy"]["meaning"] in page
    assert str(place) not in page + (out / "summary.json").read_text()  # names, not places
    with Image.open(out / "worst.png") as worst:
        assert np.asarray(worst).std() > 20


def test_the_policy_for_empty_regions_changes_the_figures(place):
    for policy in ("brats", "exclude"):
        assert call("evaluate", place / "masks", place / "truth", "-o", place / policy, "--empty", policy) == 0
    brats, exclude = (summary(place / p)["regions"]["ET"]["dice"] for p in ("brats", "exclude"))
    assert (brats["n"], exclude["n"], brats["n_empty_truth"], exclude["n_empty_truth"]) == (3, 2, 1, 1)
    assert brats["mean"] == pytest.approx(exclude["mean"] * 2 / 3)
    assert brats["minimum"] == 0.0


def test_json_is_the_summary_and_groups_are_in_it(place, capsys):
    (place / "groups.csv").write_text("case,vendor\nBraTS2021_01,GE\nBraTS2021_02,GE\n")
    out = place / "out"
    assert call("evaluate", place / "masks", place / "truth", "-o", out, "--json", "--groups", place / "groups.csv") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == summary(out)
    assert printed["groups"]["vendor"]["GE"]["WT"]["dice"]["n"] == 2
    assert printed["groups"]["vendor"]["not given"]["WT"]["dice"]["n"] == 1
    assert "By vendor" in (out / "report.html").read_text()


def test_probabilities_add_calibration_inside_the_brain(place, capsys):
    for n, mask in enumerate((tumour(), tumour(2), tumour()), start=1):
        np.savez_compressed(place / "masks" / f"BraTS2021_0{n}.npz", probabilities=class_probabilities(mask))
    out = place / "out"
    assert call("evaluate", place / "masks", place / "truth", "-o", out) == 0
    assert "Calibration WT: ECE" in capsys.readouterr().out
    found = summary(out)["calibration"]
    assert found["scope"] == "inside the brain"
    assert sum(row["count"] for row in found["regions"]["WT"]["bins"]) == 3 * 18 * 18 * 16
    assert (out / "reliability.png").exists()
    with (out / "cases.csv").open() as file:
        briers = [float(row["brier"]) for row in csv.DictReader(file) if row["region"] == "WT"]
    assert briers[0] == pytest.approx(briers[2])
    assert briers[1] > briers[0]
    pooled = found["regions"]["WT"]["brier"]
    assert pooled == pytest.approx(np.mean(briers))  # equal numbers of voxels


def test_missing_masks_are_refused_or_left_out_knowingly(place, capsys):
    (place / "masks" / "BraTS2021_02.nii.gz").unlink()
    assert call("evaluate", place / "masks", place / "truth", "-o", place / "out") == 10
    assert "BraTS2021_02" in capsys.readouterr().err
    assert not (place / "out").exists()
    assert call("evaluate", place / "masks", place / "truth", "-o", place / "out", "--allow-missing") == 0
    assert "Left out, no prediction: BraTS2021_02" in capsys.readouterr().out
    assert summary(place / "out")["cases"] == 2


def test_a_bad_mask_leaves_nothing_behind(place):
    (place / "masks" / "BraTS2021_03.nii.gz").write_bytes(b"broken")
    assert call("evaluate", place / "masks", place / "truth", "-o", place / "out") == 11
    assert not any(p.name.startswith(("out", ".partial")) for p in place.iterdir())


def test_wrong_usage(place, capsys):
    masks, truth, out = place / "masks", place / "truth", place / "out"
    assert call("evaluate", masks, truth, "-o", out, "--empty", "sometimes") == 2
    assert call("evaluate", masks, truth, "-o", out, "--model", masks) == 2
    assert call("evaluate", truth, "-o", out, "--sequences", "PD") == 2
    assert call("evaluate", masks, truth, truth, "-o", out) == 2
    assert "PD" in capsys.readouterr().err.replace("'", "").upper()
    assert call("evaluate", masks, "-o", out) == 10  # masks alone: the network needs images
    assert "needs images" in capsys.readouterr().err
    masks.joinpath("x.txt").write_text("")
    assert call("evaluate", masks, truth, "-o", masks) == 20  # not into a folder that holds something


def test_the_network_is_evaluated_on_a_case(nifti_study, tmp_path, capsys):
    out = tmp_path / "out"
    assert call("evaluate", nifti_study.parent, "-o", out, "--json", "--sequences", "FLAIR,t1ce") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cases"] == 1
    assert found["calibration"]["scope"] == "inside the brain"
    assert any(note.startswith("Network run by") for note in found["notes"])
    assert "shown only FLAIR, T1ce" in " ".join(found["notes"])
    assert {p.name for p in out.iterdir()} == {*FILES, "reliability.png"}


def test_sequences_left_out_are_blank_for_the_network_but_not_for_pictures(nifti_study):
    case, _ = load_case(nifti_study)
    seen = limited(case, (MRSequence.FLAIR, MRSequence.T1CE))
    shown = [sequence for sequence, channel in zip(MRSequence, seen.channels, strict=True) if channel.any()]
    assert shown == [MRSequence.T1CE, MRSequence.FLAIR] == list(seen.present)
    assert set(seen.display) == set(case.display)
    assert case.channels[0].any()
    with pytest.raises(MissingSequenceError, match="no T2"):
        limited(seen, (MRSequence.T2,))


def test_a_picture_shows_both_masks_without_an_image_too():
    grid = Grid(SHAPE, np.diag([1.0, 1.0, 2.0, 1.0]))
    ours, theirs = (Segmentation(m, grid, Author("human", "x")) for m in (tumour(2), tumour()))
    bare = picture(ours, theirs, {}, "a")
    assert bare.width == 2 * 380 + 4
    with_images = picture(ours, theirs, {MRSequence.FLAIR: np.ones(SHAPE), MRSequence.T1CE: np.ones(SHAPE)}, "a")
    assert with_images.width == 4 * 380 + 3 * 4
    nothing = Segmentation(np.zeros(SHAPE, np.uint8), grid, Author("human", "x"))
    assert picture(nothing, nothing, {}, "a").width == 2 * 380 + 4
