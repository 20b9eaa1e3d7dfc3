import threading
import time

import pytest

from braintumor.domain import BusyError, JobState, UnknownJobError, UnusableImageError
from braintumor.server.jobs import Jobs, Urgency


@pytest.fixture
def jobs():
    queue = Jobs(limit=5, keep=3)
    yield queue
    queue.close()


class Gate:
    """Work that waits until it is let through, and says when it began."""

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, report):
        self.begun.set()
        self.go.wait(10)
        report("last", 0.5)
        return {"done": True}


def test_a_job_ends_with_what_its_work_returned(jobs):
    job = jobs.wait(jobs.submit("count", "x", lambda report: {"found": 3}).id, 5)
    assert (job.state, job.share, job.result) == (JobState.COMPLETED, 1.0, {"found": 3})
    assert job.queued <= job.started <= job.ended


def test_the_same_work_is_done_once_for_everybody_who_asks_meanwhile(jobs):
    gate = Gate()
    first = jobs.submit("segment", "x", gate, key="k")
    gate.begun.wait(5)
    again = jobs.submit("segment", "x", lambda report: pytest.fail("done twice"), key="k")
    assert again.id == first.id
    gate.go.set()
    assert jobs.wait(first.id, 5).state is JobState.COMPLETED
    assert jobs.submit("segment", "x", lambda report: {}, key="k").id != first.id  # it is over: asked anew, done anew


def test_a_person_goes_before_the_background_and_hastens_what_waits_there(jobs):
    gate, order = Gate(), []
    jobs.submit("hold", "", gate)
    gate.begun.wait(5)

    def note(name):
        return lambda report: order.append(name)

    jobs.submit("a", "", note("background"), urgency=Urgency.BACKGROUND)
    slow = jobs.submit("b", "", note("hastened"), urgency=Urgency.BACKGROUND)
    jobs.submit("c", "", note("person"))
    assert jobs.submit("b", "", note("never")).id == slow.id
    last = jobs.all()
    gate.go.set()
    for job in last:
        jobs.wait(job.id, 5)
    assert order == ["person", "hastened", "background"]


def test_cancelling(jobs):
    gate = Gate()
    running = jobs.submit("a", "", gate)
    gate.begun.wait(5)
    waiting = jobs.submit("b", "", lambda report: pytest.fail("was cancelled"))
    assert jobs.cancel(waiting.id).state is JobState.CANCELLED
    jobs.cancel(running.id)
    gate.go.set()
    assert jobs.wait(running.id, 5).state is JobState.CANCELLED
    assert jobs.cancel(running.id).state is JobState.CANCELLED  # a second time changes nothing


def test_a_failure_is_told_in_words_and_the_queue_goes_on(jobs, caplog):
    def ours(report):
        raise UnusableImageError("The image is empty", remedy="Scan again")

    def unforeseen(report):
        raise ValueError("Doe^Jane")

    told = jobs.wait(jobs.submit("a", "", ours).id, 5)
    assert told.state is JobState.FAILED
    assert told.problem["detail"] == "The image is empty"
    assert told.problem["remedy"] == "Scan again"
    other = jobs.wait(jobs.submit("b", "", unforeseen).id, 5)
    assert other.problem["code"] == "error"
    assert "ValueError" in caplog.text
    assert "Doe" not in caplog.text + str(other.problem)
    assert jobs.wait(jobs.submit("c", "", lambda report: {}).id, 5).state is JobState.COMPLETED


def test_too_much_is_refused_and_old_jobs_are_forgotten(jobs):
    gate = Gate()
    first = jobs.submit("hold", "", gate)
    gate.begun.wait(5)
    for n in range(5):
        jobs.submit("x", str(n), lambda report: {})
    with pytest.raises(BusyError):
        jobs.submit("x", "one more", lambda report: {})
    gate.go.set()
    for job in jobs.all():
        jobs.wait(job.id, 5)
    jobs.submit("y", "", lambda report: {})
    with pytest.raises(UnknownJobError):
        jobs.get(first.id)


def test_closing_cancels_what_waits_and_takes_nothing_more():
    queue, gate = Jobs(), Gate()
    running = queue.submit("a", "", gate)
    gate.begun.wait(5)
    waiting = queue.submit("b", "", lambda report: pytest.fail("closed"))
    threading.Timer(0.1, gate.go.set).start()
    started = time.monotonic()
    queue.close()
    assert time.monotonic() - started < 5
    assert queue.get(waiting.id).state is JobState.CANCELLED
    assert queue.get(running.id).state is JobState.CANCELLED
    with pytest.raises(BusyError):
        queue.submit("c", "", lambda report: {})
