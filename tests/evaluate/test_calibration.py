"""Calibration against hand-computed values and distributions whose temperature is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from braintumor.evaluate.calibration import (
    BINS,
    Reliability,
    apply_temperature,
    fit_temperature,
    negative_log_likelihood,
)


def histogram(probability, truth):
    found = Reliability()
    found.add(np.array(probability), np.array(truth, bool))
    return found


def test_ece_and_brier_by_hand():
    # Two voxels at 0.9, one of them tumour; two at 0.1, none: |0.5 - 0.9| * 2/4 + |0 - 0.1| * 2/4 = 0.25
    found = histogram([0.9, 0.9, 0.1, 0.1], [1, 0, 0, 0])
    assert found.ece == pytest.approx(0.25)
    assert found.brier == pytest.approx((0.01 + 0.81 + 0.01 + 0.01) / 4)
    filled = [row for row in found.bins() if row["count"]]
    assert [(row["count"], row["observed"]) for row in filled] == [(2, 0.0), (2, 0.5)]
    assert filled[1]["confidence"] == pytest.approx(0.9)


def test_perfect_probabilities_have_no_error_and_nothing_counted_has_none():
    assert histogram([0.0, 1.0, 1.0], [0, 1, 1]).ece == 0
    assert histogram([0.0, 1.0, 1.0], [0, 1, 1]).brier == 0
    empty = histogram([], [])
    assert (empty.ece, empty.brier, empty.total) == (None, None, 0)
    assert len(empty.bins()) == BINS
    assert all(row["observed"] is None for row in empty.bins())


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=2, max_size=60), st.data())
@settings(max_examples=60, deadline=None)
def test_chunks_give_what_the_whole_gives(pairs, data):
    p, t = np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
    cut = data.draw(st.integers(1, len(pairs) - 1))
    parts, whole = histogram(p[:cut], t[:cut]), histogram(p, t)
    parts.merge(histogram(p[cut:], t[cut:]))
    assert parts.ece == pytest.approx(whole.ece, abs=1e-9)
    assert parts.brier == pytest.approx(whole.brier, abs=1e-9)
    assert 0 <= whole.ece <= 1
    assert whole.total == len(pairs)


def test_float16_is_counted_as_it_is():
    p = np.linspace(0, 1, 1001).astype(np.float16)
    assert histogram(p, p > 0.5).total == 1001


@pytest.mark.parametrize("wrong", [[1.5], [-0.2], [float("nan")]])
def test_logits_and_nan_are_refused(wrong):
    with pytest.raises(ValueError, match="from 0 to 1"):
        histogram(wrong, [1])


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="one shape"):
        histogram([0.1, 0.2], [1])


def classes(temperature, n=20_000, seed=1):
    """Voxels drawn from softmax(z), and the over- or under-sure softmax(z * temperature) a model would say of them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, 4))

    def softmax(z):
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    true = softmax(logits)
    target = (true.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return softmax(logits * temperature), target, true


@pytest.mark.parametrize("known", [0.6, 1.0, 2.5])
def test_a_known_temperature_is_found(known):
    said, target, true = classes(known)
    halves = [(said[::2], target[::2]), (said[1::2], target[1::2])]
    found = fit_temperature(lambda: halves)
    assert found == pytest.approx(known, rel=0.05)
    assert np.abs(apply_temperature(said, known, axis=1) - true).max() < 5e-3  # probabilities below 1e-7 are not told apart


def test_temperature_mends_calibration_and_keeps_the_decision():
    said, target, _ = classes(3.0)
    mended = apply_temperature(said, fit_temperature(lambda: [(said, target)]), axis=1)
    assert np.array_equal(mended.argmax(axis=1), said.argmax(axis=1))
    before, after = (histogram(p[:, 1], target == 1).ece for p in (said, mended))
    assert before > 0.05 > 0.02 > after
    assert np.allclose(mended.sum(axis=1), 1, atol=1e-5)


def test_certain_and_wrong_is_finite():
    said = np.array([[1.0, 0.0], [0.0, 1.0]], np.float16)
    assert np.isfinite(negative_log_likelihood(lambda: [(said, np.array([1, 1]))], 1.0))
    assert fit_temperature(lambda: [(said, np.array([1, 1]))]) > 1
    with pytest.raises(ValueError, match="at least one voxel"):
        fit_temperature(list)
