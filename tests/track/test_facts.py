"""The report's comparison holds the timeline's own numbers."""

from dataclasses import replace

import pytest

from braintumor import phantom, track
from braintumor import preprocess as case_stage
from braintumor import study as study_stage
from braintumor.domain import Direction, LesionState, Region
from braintumor.preprocess import on_grid
from braintumor.track import Visit, comparison


@pytest.fixture(scope="module")
def timeline(two_visits, tmp_path_factory):
    visits = []
    for number, truth in enumerate(two_visits):
        folder = tmp_path_factory.mktemp("facts") / f"visit-{number}"
        phantom.write_dicom(truth, folder)
        study = study_stage.read_study(folder)
        case = case_stage.prepare_case(study)
        visits.append(Visit(study, case, on_grid(truth.truth, case.grid), study.study_date))
    return track.compare(visits[::-1])


def test_prior_interval_volumes_and_alignment_are_the_timelines(timeline):
    found = comparison(timeline)
    prior, current = timeline.visits
    assert (found.prior_uid, found.prior_date) == (prior.study.uid, prior.date)
    assert found.days == (current.date - prior.date).days
    for region in Region:
        change = found.regions[region]
        assert (change.before, change.now) == (timeline.volumes[0][region], timeline.volumes[1][region])
        assert (change.ml, change.percent) == (timeline.changes[0][region].ml, timeline.changes[0][region].percent)
    assert found.regions[Region.WT].direction is Direction.GROWN
    assert found.alignment_error_mm == timeline.alignments[0].error_mm
    assert [point.study_uid for point in found.trend] == [prior.study.uid, current.study.uid]
    assert found.response == timeline.rano[-1]


def test_a_lesion_has_its_volume_then_and_now(timeline):
    (lesion,) = comparison(timeline).lesions
    then, now = timeline.tracks[0].appearances
    assert (lesion.before, lesion.now, lesion.state) == (then.volume, now.volume, LesionState.GROWN)


def test_a_lesion_that_was_not_there_has_no_volume_before(timeline):
    (known,) = timeline.tracks
    new = replace(known, uid="1.2", name="Lesion 2", appearances=(replace(known.appearances[1], state=LesionState.NEW),))
    found = comparison(replace(timeline, tracks=(known, new))).lesions
    assert [(lesion.name, lesion.before is None) for lesion in found] == [("Lesion 1", False), ("Lesion 2", True)]


def test_what_does_not_exceed_its_error_is_no_change(timeline):
    small = {region: replace(change, measurable=False) for region, change in timeline.changes[0].items()}
    found = comparison(replace(timeline, changes=(small,)))
    assert {change.direction for change in found.regions.values()} == {Direction.UNCHANGED}
