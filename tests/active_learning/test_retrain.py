"""Retraining: learns, goes on after a kill as if nothing had been, and serves a new model only if it is not worse."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from braintumor.active_learning import Gate, RetrainJob, Source, is_running, read_status, run, write_job
from braintumor.active_learning.job import alone
from braintumor.active_learning.retrain import NO_REPLAY
from braintumor.domain import BusyError, InputNotFoundError, OutputError, Region
from braintumor.segment import weights
from tests.active_learning.small import TRAIN, example, network, registry, shipped, written

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place(tmp_path):
    """A shipped tiny model that knows nothing, three labelled patients, and a held-out one."""
    shipped(tmp_path / "shipped")
    written(tmp_path / "labels", *(example(f"p{n}", seed=n) for n in range(3)))
    written(tmp_path / "heldout", example("h", seed=9))
    return tmp_path


def job(place, name="job", labels=("p0", "p1", "p2"), **changes):
    sources = tuple(Source(n, n, prepared=str(place / "labels" / f"{n}.npz")) for n in labels)
    folders = {key: str(place / key) for key in ("registry", "shipped", "heldout")}
    train = {**TRAIN, **changes.pop("train", {})}
    settings = {
        "division": str(place / "division.json"),
        "share": 0.0,
        "nice": 0,
        "report_every": 2,
        "save_every": 2,
        **folders,
    }
    write_job(place / name, RetrainJob(sources=sources, train=train, **{**settings, **changes}))
    return place / name


def candidate(folder):
    return weights.load(folder / "candidate").network.state_dict()


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.values(), other.values(), strict=True))


def test_it_learns_from_labels_and_publishes_what_it_measured(place):
    status = run(job(place))
    assert (status.state, status.step, status.steps, status.share) == ("completed", 30, 30, 1.0)
    assert status == read_status(place / "job")
    verdict = status.verdict
    assert verdict.published
    assert verdict.after[Region.WT] > (verdict.before[Region.WT] or 0.0) + 0.2
    assert (verdict.version, verdict.compared_with, verdict.heldout) == ("1.0.0+r1", "1.0.0", 1)
    served = registry(place).current()
    assert served.version == "1.0.0+r1"
    assert served.evidence["after"]["WT"] == verdict.after[Region.WT]
    assert same(weights.load(served.folder).network.state_dict(), candidate(place / "job"))
    assert [point["step"] for point in status.curve] == list(range(2, 31, 2))
    assert status.curve[-1]["loss"] < status.curve[0]["loss"]
    assert NO_REPLAY in status.notes
    # The next one starts from it.
    again = run(job(place, "next", train={"learning_rate": 1e-6}))
    assert again.verdict.compared_with == "1.0.0+r1"
    assert again.curve[0]["loss"] < status.curve[0]["loss"]


def test_a_worse_model_is_refused_and_the_served_one_stays(place):
    run(job(place))
    before = registry(place).current()
    harmful = [example(f"w{n}", seed=n, brightness=-3.0) for n in range(2)]  # dark where the held-out tumour is bright
    written(place / "labels", *harmful)
    status = run(job(place, "harm", labels=("w0", "w1"), train={"learning_rate": 0.03}))
    assert status.state == "completed"
    assert not status.verdict.published
    assert status.verdict.version is None
    assert "fell from" in status.verdict.reason
    assert registry(place).current() == before


@pytest.mark.parametrize(
    ("before", "after", "passes"),
    [
        ((0.8, 0.7, 0.6), (0.8, 0.7, 0.6), True),
        ((0.8, 0.7, 0.6), (0.795, 0.7, 0.6), True),
        ((0.8, 0.7, 0.6), (0.785, 0.9, 0.9), False),
        ((0.8, 0.7, 0.6), (0.9, 0.9, 0.54), False),
        ((0.8, 0.7, 0.6), (float("nan"), 0.7, 0.6), False),
        ((0.8, 0.7, None), (0.8, 0.7, None), True),
        ((None, None, None), (None, None, None), False),
    ],
)
def test_the_gate(before, after, passes):
    rows = [dict(zip(Region, row, strict=True)) for row in (before, after)]
    assert (Gate(tolerance=0.01, collapse=0.05).refusal(*rows) is None) == passes


@pytest.fixture
def one_thread():
    """As many threads as the process of a job: the order of a sum, and so its last bits, depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.campaign
@pytest.mark.usefixtures("one_thread")
def test_killed_and_run_again_it_ends_with_the_same_weights(place):
    """A real kill -9 in the middle of training, and the same job run to its end without."""
    folder = job(place, "killed")
    process = start(folder)
    wait_for(folder, lambda status: status.step >= 8)
    process.kill()
    assert process.wait(30) == -signal.SIGKILL
    assert read_status(folder).state == "running"
    assert not is_running(folder)
    assert registry(place).current().version == "1.0.0"
    resumed = run(folder)
    whole = run(job(place, "whole", registry=str(place / "other registry")))
    assert (resumed.state, whole.state) == ("completed", "completed")
    assert same(candidate(folder), candidate(place / "whole"))
    assert resumed.curve == whole.curve
    assert resumed.verdict == whole.verdict


@pytest.mark.campaign
def test_sigterm_ends_it_cleanly_and_it_goes_on_later(place):
    folder = job(place, train={"steps": 4000})
    process = start(folder)
    wait_for(folder, lambda status: status.step >= 4)
    assert is_running(folder)
    with pytest.raises(BusyError):
        run(folder)
    process.terminate()
    assert process.wait(60) == 143
    status = read_status(folder)
    assert (status.state, status.problem, status.verdict) == ("cancelled", None, None)
    assert (folder / "training/checkpoint.pt").exists()
    assert registry(place).current().version == "1.0.0"
    calls = iter(range(10))
    assert run(folder, stop=lambda: next(calls) > 5).step >= status.step  # goes on, and is stopped again


def start(folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    return subprocess.Popen(
        [sys.executable, "-m", "braintumor.active_learning", str(folder)], env=environment, stdout=subprocess.DEVNULL
    )


def wait_for(folder, happened, seconds=120):
    until = time.monotonic() + seconds
    while not happened(read_status(folder)):
        assert time.monotonic() < until, read_status(folder)
        time.sleep(0.01)


def test_dying_after_publishing_publishes_nothing_twice(place, monkeypatch):
    folder = job(place)
    first = run(folder)
    assert first.verdict.published
    again = run(folder)  # as if the status had never been written
    assert again.verdict == first.verdict
    assert [v.version for v in registry(place).versions()] == ["1.0.0", "1.0.0+r1"]


def test_what_is_served_by_somebody_else_in_the_meantime_is_what_must_be_beaten(place):
    good = run(job(place, "good"))
    registry(place).serve("1.0.0")
    folder = job(place, "late", train={"steps": 1, "full_steps": 0})

    def stop():
        registry(place).serve(good.verdict.version)
        return False

    late = run(folder, stop=stop)
    assert late.verdict.compared_with == good.verdict.version
    assert not late.verdict.published


def test_without_labels_it_says_what_is_missing(place):
    assert run(job(place, "none", labels=())).problem["code"] == "no-labels"
    alone_one = run(job(place, "one", labels=("p0",), heldout="", share=0.0))
    assert (alone_one.state, alone_one.problem["code"]) == ("failed", "no-labels")
    everybody = run(job(place, "aside", labels=("p0", "p1"), heldout="", share=1.0))
    assert everybody.problem["code"] == "no-labels"
    assert registry(place).versions()[-1].version == "1.0.0"


def test_a_patient_that_is_held_out_is_never_trained_on(place):
    same_patient = example("second visit", patient="h", seed=4)
    written(place / "labels", same_patient)
    folder = job(place, "mixed", train={"steps": 2, "full_steps": 0})
    content = json.loads((folder / "job.json").read_text())
    content["sources"].append({"name": "second visit", "patient": "h", "prepared": str(place / "labels/second visit.npz")})
    (folder / "job.json").write_text(json.dumps(content))
    without = job(place, "without", train={"steps": 2, "full_steps": 0}, registry=str(place / "elsewhere"))
    assert run(folder).state == run(without).state == "completed"
    assert same(candidate(folder), candidate(without))


def test_old_cases_are_replayed_but_never_held_out_ones(place):
    written(place / "old", example("old", seed=5), example("old h", patient="h", seed=6))
    quick = {"steps": 2, "full_steps": 0}
    status = run(job(place, replay=str(place / "old"), train=quick))
    assert NO_REPLAY not in status.notes
    assert [path.name for path in (place / "job/slices/replay").glob("*.images.npy")] == ["old.images.npy"]


def test_a_job_that_is_none_is_refused_and_a_folder_holds_one_job(place):
    with pytest.raises(InputNotFoundError):
        run(place / "nowhere")
    folder = job(place)
    with pytest.raises(OutputError):
        job(place)
    content = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps({**content, "tolerence": 1}))
    with pytest.raises(InputNotFoundError):
        run(folder)


def test_a_damaged_example_fails_the_job_and_not_the_model(place):
    (place / "labels/p1.npz").write_bytes(b"PK nothing")
    status = run(job(place))
    assert (status.state, status.problem["code"]) == ("failed", "corrupt-file")
    assert registry(place).current().version == "1.0.0"


def test_a_full_disk_fails_the_job_in_plain_words(place, monkeypatch):
    def full(*given, **named):
        raise RuntimeError("[enforce fail at inline_container.cc:672] PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", full)
    status = run(job(place))
    assert (status.state, status.problem["code"]) == ("failed", "output")
    assert registry(place).current().version == "1.0.0"


def test_an_error_of_the_program_is_told_and_raised(place, monkeypatch):
    folder = job(place)
    monkeypatch.setattr("braintumor.active_learning.retrain.train", lambda *given, **named: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(folder)
    assert read_status(folder).state == "failed"


def test_a_job_taken_by_another_process_is_not_started_twice(place):
    folder = job(place)
    with alone(folder), pytest.raises(BusyError):
        run(folder)


def test_the_tiny_network_is_what_the_others_started_from(place):
    assert same(
        weights.load(place / "shipped").network.state_dict(),
        {k: v.half().float() if v.is_floating_point() else v for k, v in network().state_dict().items()},
    )
