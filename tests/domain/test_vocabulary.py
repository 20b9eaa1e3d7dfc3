"""Labels, errors and nouns: consistent tables, immutable values, plain messages."""

import numpy as np
import pytest
from pydicom.sr.codedict import codes

from braintumor.domain import (
    LABELS,
    Author,
    BrainTumorError,
    EmptyPolicy,
    GeometryError,
    Grid,
    Image,
    MRSequence,
    Patient,
    Region,
    Segmentation,
    Study,
    errors,
    region_dice,
)
from braintumor.domain import regions as labels

GRID = Grid((2, 3, 4), np.eye(4))


def test_label_table_is_consistent():
    assert [label.segment for label in LABELS] == [1, 2, 3]
    assert [label.channel for label in LABELS] == [1, 2, 3]
    assert [label.value for label in LABELS] == [1, 2, 4]
    assert len({label.rgb for label in LABELS}) == len(LABELS)
    for outer, inner in ((Region.WT, Region.TC), (Region.TC, Region.ET)):
        assert set(labels.values_of(inner)) < set(labels.values_of(outer))
        assert set(labels.channels_of(inner)) < set(labels.channels_of(outer))


def test_codes_are_those_of_the_standard():
    """A tumour must never again be coded as 'Spleen': every code is looked up in pydicom's copy of PS3.16."""
    known = {(c.value, c.scheme_designator) for c in (codes.SCT.Edema, codes.SCT.Brain, codes.SCT.Neoplasm)}
    known |= {(codes.SCT.MorphologicallyAbnormalStructure.value, "SCT"), (codes.SCT.NeoplasmPrimary.value, "SCT")}
    known |= {(codes.NCIt.EnhancingLesion.value, "NCIt"), (codes.NCIt.NonEnhancingLesion.value, "NCIt")}
    used = (
        {label.code for label in LABELS} | set(labels.REGION_CODES.values()) | {labels.SEGMENT_CATEGORY, labels.ANATOMIC_REGION}
    )
    assert {(code.value, code.scheme) for code in used} <= known


def test_channels_and_values_translate_both_ways():
    values = np.array([0, 1, 2, 4], np.uint8)
    assert labels.to_channels(values).tolist() == [0, 1, 2, 3]
    assert np.array_equal(labels.from_channels(labels.to_channels(values)), values)
    assert labels.region_mask(values, Region.TC).tolist() == [False, True, False, True]
    assert labels.by_value(4) is labels.ENHANCING
    with pytest.raises(KeyError, match="no label has the voxel value 3"):
        labels.by_value(3)


def test_exit_codes_are_distinct_and_explained():
    table = errors.exit_codes()
    classes = [
        c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, BrainTumorError) and c is not BrainTumorError
    ]
    assert len({c.exit_code for c in classes}) == len({c.code for c in classes}) == len(classes)
    assert {c.exit_code for c in classes} | {0, 1, 2, 130} == set(table)


def test_a_message_names_the_thing_the_problem_and_the_remedy():
    error = GeometryError("Slice 7 is missing.", remedy="Send the whole series", path="study/IM7")
    assert str(error) == "Slice 7 is missing [study/IM7]. Send the whole series."


def test_patients_are_never_printed():
    patient = Patient("4711", "Doe^Jane", "19700101", "F")
    assert repr(patient) == "Patient()"


def test_images_and_masks_cannot_be_changed_or_be_wrong():
    image = Image(np.zeros((2, 3, 4)), GRID)
    with pytest.raises(ValueError, match="read-only"):
        image.voxels[0, 0, 0] = 1
    with pytest.raises(ValueError, match="do not fit"):
        Image(np.zeros((2, 3, 5)), GRID)
    with pytest.raises(ValueError, match="must be uint8"):
        Segmentation(np.zeros((2, 3, 4)), GRID, Author("human", "x"))
    with pytest.raises(ValueError, match=r"not \[3\]"):
        Segmentation(np.full((2, 3, 4), 3, np.uint8), GRID, Author("human", "x"))


def test_the_reference_is_t1ce_or_the_next_best():
    series = {MRSequence.T1: "t1", MRSequence.T2: "t2"}
    study = Study("1", "nifti", Patient(), None, series)
    assert study.reference == "t2"
    assert study.reference_sequence is MRSequence.T2
    with pytest.raises(ValueError, match="without series"):
        _ = Study("1", "nifti", Patient(), None, {}).reference


def test_sequences_are_titled_as_radiologists_write_them():
    assert MRSequence.T1CE.title == "T1ce"


def test_dice_by_hand_and_what_an_empty_mask_earns():
    one, other, nothing = np.zeros((4, 5, 2), np.uint8), np.zeros((4, 5, 2), np.uint8), np.zeros((4, 5, 2), np.uint8)
    one[:2], other[1:4] = 2, 2
    assert region_dice(one, other) == {Region.WT: pytest.approx(2 * 10 / (20 + 30)), Region.TC: 1.0, Region.ET: 1.0}
    assert region_dice(one, nothing)[Region.WT] == region_dice(nothing, one)[Region.WT] == 0.0

    left_out = region_dice(one, nothing, EmptyPolicy.EXCLUDE)
    assert left_out == region_dice(nothing, nothing, EmptyPolicy.EXCLUDE) == dict.fromkeys(Region)
    assert region_dice(nothing, one, EmptyPolicy.EXCLUDE)[Region.WT] == 0.0  # a missed tumour stays in the mean
