"""One series per sequence: ties are refused, clear differences are used and told, the user's word is law."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from braintumor.domain import AmbiguousSequenceError, Image, InputNotFoundError, MRSequence
from braintumor.phantom.dicom import Awkward, StudyHeader, series_uid, write_series
from braintumor.study import inspect, read_study
from tests.study.conftest import WriteStudy, head, oblique

Add = Callable[..., str]
SILENT = {"ContrastBolusAgent": None, "SeriesDescription": "t1 tra", "ProtocolName": ""}


def edit(folder: Path, number: int, **values: Any) -> None:
    for path in folder.glob(f"{number:03d}_*.dcm"):
        dataset = pydicom.dcmread(path)
        for keyword, value in values.items():
            if value is None:
                dataset.pop(keyword, None)
            else:
                setattr(dataset, keyword, value)
        dataset.save_as(path)


@pytest.fixture
def add(header: StudyHeader) -> Add:
    """Adds another series to a study and gives its UID."""

    def write(folder: Path, sequence: MRSequence, number: int, image: Image | None = None, **values: Any) -> str:
        write_series(image or head(sequence), folder, header, sequence, series_number=number)
        edit(folder, number, **values)
        return series_uid(header, number)

    return write


def test_two_equal_candidates_are_refused_with_both_uids_and_the_way_out(
    write_study: WriteStudy, header: StudyHeader, add: Add
) -> None:
    folder = write_study()
    second = add(folder, MRSequence.T1CE, 7)
    first = series_uid(header, 2)

    with pytest.raises(AmbiguousSequenceError) as caught:
        read_study(folder)

    for words in (first, second, "--t1ce UID", "equally good candidates for T1ce"):
        assert words in str(caught.value)
    assert [p.code for p in inspect(folder).problems] == ["ambiguous-sequence"]

    study = read_study(folder, overrides={MRSequence.T1CE: second})
    assert study.series[MRSequence.T1CE].uid == second
    assert study.series[MRSequence.T1CE].evidence.confidence == 1.0
    assert study.unused == {first: "T1ce was named by the user"}


@pytest.mark.parametrize(
    ("values", "spacing", "why"),
    [
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, 5.0, "is an original"),
        (
            {
                "ContrastBolusAgent": None,
                "SeriesDescription": "t1 +c",
                "ProtocolName": "",
                "EchoTime": None,
                "SequenceName": None,
            },
            5.0,
            "is more certain",
        ),
        ({}, 2.5, "covers more"),
        ({}, 12.0, "has clearly finer slices"),
    ],
)
def test_the_clearly_better_one_is_used_and_that_is_said(
    write_study: WriteStudy, header: StudyHeader, add: Add, values: dict[str, Any], spacing: float, why: str
) -> None:
    folder = write_study()
    image = head(MRSequence.T1CE, (40, 36, 10), oblique((2.0, 3.0, spacing)))
    worse = add(folder, MRSequence.T1CE, 7, image, **values)

    if why == "has clearly finer slices":  # equal extent, so that only the spacing differs
        edit(folder, 7, SpacingBetweenSlices=12.0)
        folder = _thinned(folder, add, header)
    study = read_study(folder)

    assert study.series[MRSequence.T1CE].uid == series_uid(header, 2)
    assert why in study.unused[worse]
    assert [f.code for f in study.flags] == ["series-preferred"]


def _thinned(folder: Path, add: Add, header: StudyHeader) -> Path:
    """Make series 2 cover as much as ten slices of 12 mm, in slices of 5 mm."""
    for path in folder.glob("002_*.dcm"):
        path.unlink()
    add(folder, MRSequence.T1CE, 2, head(MRSequence.T1CE, (40, 36, 22)))
    return folder


def test_distortion_correction_and_axial_slices_are_preferred(write_study: WriteStudy, header: StudyHeader, add: Add) -> None:
    folder = write_study()
    coronal = oblique((2.0, 5.0, 3.0))[:, [0, 2, 1, 3]] * (1, -1, 1, 1)
    add(folder, MRSequence.T2, 7, head(MRSequence.T2, affine=coronal))
    add(folder, MRSequence.FLAIR, 8, ImageType=["ORIGINAL", "PRIMARY", "M", "DIS2D"])

    study = read_study(folder)

    assert study.series[MRSequence.T2].uid == series_uid(header, 3)
    assert "is axial" in study.unused[series_uid(header, 7)]
    assert study.series[MRSequence.FLAIR].uid == series_uid(header, 8)
    assert "corrected for distortion" in study.unused[series_uid(header, 4)]


def test_localisers_and_diffusion_are_left_out_with_their_reason(write_study: WriteStudy, add: Add) -> None:
    folder = write_study()
    scout = add(folder, MRSequence.T1, 7, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    diffusion = add(folder, MRSequence.T2, 8, SeriesDescription="ep2d_diff", ProtocolName="")

    unused = read_study(folder).unused

    assert "localiser" in unused[scout]
    assert "diffusion" in unused[diffusion]


def test_dual_echo_series_gives_its_t2(write_study: WriteStudy, header: StudyHeader) -> None:
    folder = write_study()
    early = Image(head(MRSequence.T2).voxels * 2, head(MRSequence.T2).grid)
    write_series(early, folder, header, MRSequence.T2, series_number=9)
    edit(
        folder,
        9,
        SeriesInstanceUID=series_uid(header, 3),
        EchoTime=14,
        EchoNumbers=2,
        SeriesDescription="PD+T2",
        ProtocolName="",
    )

    study = read_study(folder)

    np.testing.assert_array_equal(study.series[MRSequence.T2].image.voxels, head(MRSequence.T2).voxels)
    ((key, reason),) = study.unused.items()
    assert key == f"{series_uid(header, 3)} (TE 14 ms)"
    assert "proton density" in reason


FINE = oblique((1.5, 1.5, 4.0))


@pytest.mark.parametrize("bright", [1, 2])
def test_pixels_tell_t1_from_t1ce_when_nothing_else_does(
    tmp_path: Path, header: StudyHeader, add: Add, write_study: WriteStudy, bright: int
) -> None:
    folder = write_study(only=(MRSequence.T2,))
    edit(folder, 1, SeriesNumber=9)
    for number in (1, 2):
        image = _fine(bright=number == bright)
        add(folder, MRSequence.T1, 10 + number, image, **SILENT)

    study = read_study(folder)

    assert study.series[MRSequence.T1CE].uid == series_uid(header, 10 + bright)
    assert study.series[MRSequence.T1].uid == series_uid(header, 13 - bright)
    assert "by its pixels" in study.series[MRSequence.T1CE].evidence.reasons[-1]
    assert study.series[MRSequence.T1CE].evidence.confidence < 0.7
    assert "sequence-by-pixels" in [f.code for f in study.flags]
    used = {entry["uid"]: entry["taken_for"] for entry in inspect(folder).series}
    assert used[series_uid(header, 10 + bright)] == "t1ce"


def _fine(*, bright: bool) -> Image:
    image = head(MRSequence.T1, (60, 56, 20), FINE)
    voxels = image.voxels.copy()
    if bright:  # a few vessels from bottom to top
        for column in (20, 21, 28, 29, 36, 37):
            voxels[column, 20:40:8, 4:16] *= 4
    return Image(np.rint(voxels), image.grid)


def test_pixels_decide_against_a_known_native_t1(write_study: WriteStudy, header: StudyHeader, add: Add) -> None:
    folder = write_study(only=(MRSequence.T2,))
    add(folder, MRSequence.T1, 11, _fine(bright=False), **{**SILENT, "SeriesDescription": "t1 pre"})
    add(folder, MRSequence.T1, 12, _fine(bright=True), **SILENT)

    study = read_study(folder)

    assert study.series[MRSequence.T1CE].uid == series_uid(header, 12)


def test_two_t1_that_look_alike_are_refused(write_study: WriteStudy, add: Add) -> None:
    folder = write_study(only=(MRSequence.T2, MRSequence.FLAIR))
    for number in (11, 12):
        add(folder, MRSequence.T1, number, **SILENT)

    with pytest.raises(AmbiguousSequenceError, match=r"Neither headers nor pixels.*--t1ce UID"):
        read_study(folder)
    assert [p.code for p in inspect(folder).problems] == ["ambiguous-sequence"]


def test_a_lone_t1_of_unknown_contrast_is_flagged(write_study: WriteStudy, add: Add) -> None:
    folder = write_study(only=(MRSequence.T2, MRSequence.FLAIR))
    add(folder, MRSequence.T1, 11, **SILENT)

    study = read_study(folder)

    assert "contrast-unknown" in [f.code for f in study.flags]
    assert MRSequence.T1CE not in study.series


def test_a_contradiction_is_flagged(write_study: WriteStudy) -> None:
    folder = write_study()
    edit(folder, 4, SeriesDescription="t2 tra", ProtocolName="")

    study = read_study(folder)

    assert [f.code for f in study.flags] == ["sequence-uncertain"]
    assert study.series[MRSequence.FLAIR].evidence.confidence <= 0.5


def test_override_makes_a_t1_the_t1ce(write_study: WriteStudy, header: StudyHeader) -> None:
    folder = write_study(only=(MRSequence.T1, MRSequence.T2))
    uid = series_uid(header, 1)

    study = read_study(folder, overrides={MRSequence.T1CE: uid})

    assert study.series[MRSequence.T1CE].uid == uid
    assert study.series[MRSequence.T1CE].evidence.reasons == ("named by the user",)


def test_override_that_names_nothing(write_study: WriteStudy, header: StudyHeader) -> None:
    folder = write_study()
    with pytest.raises(InputNotFoundError, match=r"--t1ce 1\.2\.3 names no MR series") as caught:
        read_study(folder, overrides={MRSequence.T1CE: "1.2.3"})
    assert series_uid(header, 2) in caught.value.remedy
    assert [p.code for p in inspect(folder, overrides={MRSequence.T1CE: "1.2.3"}).problems] == ["input-not-found"]


def test_inspection_is_json_ready_and_says_what_is_used(write_study: WriteStudy) -> None:
    folder = write_study({MRSequence.T2: Awkward(missing_slices=(4,))})
    found = json.loads(json.dumps(inspect(folder).as_dict()))

    assert found["kind"] == "dicom"
    assert set(found["chosen"]) == {"t1", "t1ce", "t2", "flair"}
    assert {entry["used_as"] for entry in found["series"]} == {"t1", "t1ce", "t2", "flair"}
    assert [p["code"] for p in found["problems"]] == ["unsafe-geometry"]
    broken = next(entry for entry in found["series"] if entry["used_as"] == "t2")
    assert broken["grid"] is None
    assert "missing" in broken["geometry_problem"]
    assert "Muster" not in json.dumps(found)
    assert "P-1" not in json.dumps(found)


def test_evidence_quotes_the_numbers_it_rests_on(write_study: WriteStudy) -> None:
    reasons = read_study(write_study()).series[MRSequence.FLAIR].evidence.reasons
    assert any("TI 2500 ms" in reason for reason in reasons)
