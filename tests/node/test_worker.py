"""A worker does what it claimed, and whatever happens to it, the study ends in one clear state."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest

from braintumor.domain import GeometryError, OutputError
from braintumor.node.completion import Completion
from braintumor.node.leases import Leases
from braintumor.node.pool import Pool
from braintumor.node.processors import CommandFailedError, processor
from braintumor.node.schema import DatabaseDownError
from braintumor.node.settings import Complete, DestinationSettings, NodeSettings, Rule, Work
from braintumor.node.states import Reason, StudyState
from braintumor.node.worker import UnfitError, Worker

S = StudyState


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def settings(tmp_path, database_url):
    pacs = DestinationSettings(name="pacs", kind="folder", folder=tmp_path / "pacs")
    work = Work(lease_s=0.25, attempts=3, drain_s=5)
    return NodeSettings(state=tmp_path / "state", database=database_url, destinations=(pacs,), work=work)


@pytest.fixture
def worker(settings, ledger, spool):
    def _worker(run):
        return Worker(settings, ledger, spool, run=run)

    return _worker


@pytest.fixture
def waiting(arrive, ledger):
    """A study that waits for a worker."""

    def _waiting(*arguments, **changes):
        study = arrive(*arguments, **changes)
        assert ledger.complete(study)
        return ledger.find(study.pseudonym)

    return _waiting


def writes(images, out, created):
    out.mkdir(parents=True)
    (out / "result.json").write_text(json.dumps({"images": sorted(p.name for p in images.iterdir())}))
    return {"timings_s": {"segment": 1.5}}


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


class TestWorker:
    def test_results_are_entered_with_their_folder_and_times(self, worker, waiting, ledger, spool, outbox):
        study = waiting()
        assert worker(writes).one()
        done = ledger.find(study.pseudonym)
        assert done.state == S.PRODUCED
        assert (spool.state / done.results / "result.json").is_file()
        assert ledger.events(study.pseudonym)[-1][3]["stages"] == {"segment": 1.5}
        assert len(outbox.due("pacs")) == 1

    def test_without_work_it_says_so(self, worker):
        assert not worker(writes).one()

    def test_what_the_pipeline_refuses_fails_at_once_in_plain_words(self, worker, waiting, ledger, spool):
        def refuses(images, out, created):
            raise GeometryError("Slice 3 of 1.2.826.0.1.3680043.10.543.1 is missing", remedy="Send it")

        study = waiting()
        worker(refuses).one()
        failed = ledger.find(study.pseudonym)
        assert (failed.state, failed.reason) == (S.FAILED, "unsafe-geometry")
        assert failed.detail == "Slice 3 of (UID) is missing. Send it."
        assert not list((spool.study(study.pseudonym)).glob("results/*"))

    def test_a_full_disk_is_not_the_studys_fault(self, worker, waiting, ledger):
        def full(images, out, created):
            raise OutputError("The disk is full", remedy="Free space")

        study = waiting()
        with pytest.raises(UnfitError, match="output"):
            worker(full).one()
        back = ledger.find(study.pseudonym)
        assert (back.state, back.attempts) == (S.COMPLETE, 0)

    def test_an_unforeseen_error_is_tried_again_and_then_fails(self, worker, waiting, ledger):
        def breaks(images, out, created):
            raise ZeroDivisionError

        study = waiting()
        for _ in range(3):
            worker(breaks).one()
        assert ledger.find(study.pseudonym).reason == Reason.CRASHED

    def test_a_study_that_takes_too_long_is_given_up(self, settings, waiting, ledger, spool):
        given_up = threading.Event()
        short = settings.model_copy(update={"work": settings.work.model_copy(update={"limit_s": 0.1})})
        study = waiting()

        def slow(images, out, created):
            given_up.wait(20)
            return writes(images, out, created)

        Worker(short, ledger, spool, run=slow, give_up=given_up.set).one()
        assert given_up.is_set()
        failed = ledger.find(study.pseudonym)
        assert (failed.state, failed.reason) == (S.FAILED, Reason.TOO_LONG)

    def test_a_result_that_came_too_late_is_removed(self, worker, waiting, arrive, ledger, spool):
        study = waiting()

        def overtaken(images, out, created):
            arrive(numbers=(2,))
            return writes(images, out, created)

        worker(overtaken).one()
        assert ledger.find(study.pseudonym).state == S.RECEIVED
        assert not list(spool.study(study.pseudonym).glob("results/*"))

    def test_what_a_killed_worker_left_is_removed_with_the_next_result(self, worker, waiting, ledger, spool):
        study = waiting()
        left = [spool.study(study.pseudonym) / name for name in ("results/1-killed", "results/.partial-1-x", "chosen-killed")]
        for folder in left:
            folder.mkdir(parents=True)
        worker(writes).one()
        assert [folder.exists() for folder in left] == [False] * 3
        assert (spool.state / ledger.find(study.pseudonym).results).is_dir()

    def test_an_image_that_is_gone_from_the_disk_is_noticed(self, worker, waiting, ledger, spool):
        study = waiting()
        next(spool.instances(study.pseudonym).iterdir()).unlink()
        worker(writes).one()
        assert ledger.find(study.pseudonym).reason == Reason.DATA_MISSING

    def test_series_that_a_rule_ignores_are_not_seen(self, settings, ledger, spool, sender, waiting):
        rules = (Rule(description="localizer", action="ignore"), Rule(modality="MR"))
        changed = settings.model_copy(update={"rules": rules})
        uid = "1.2.826.0.1.3680043.10.543.1"
        file = sender.file(1, 9, SeriesDescription="LOCALIZER", SeriesInstanceUID=f"{uid}.2", SOPInstanceUID=f"{uid}.2.9")
        ledger.received(spool.pseudonym(uid), [spool.keep(file, "A")[1]])
        study = waiting(numbers=(1, 2))
        Worker(changed, ledger, spool, run=writes).one()
        done = ledger.find(study.pseudonym)
        seen = json.loads((spool.state / done.results / "result.json").read_text())["images"]
        assert len(seen) == 2
        assert len(list(spool.instances(study.pseudonym).iterdir())) == 3
        assert not list(spool.study(study.pseudonym).glob("chosen-*"))

    def test_a_database_that_goes_away_during_the_work_is_waited_for(self, settings, ledger, spool, waiting, monkeypatch):
        study = waiting()
        asked = []

        def away(*arguments):
            asked.append(1)
            if len(asked) < 3:
                raise DatabaseDownError("gone", remedy="wait")
            return type(ledger).produced(ledger, *arguments)

        worker = Worker(settings, ledger, spool, run=writes)
        monkeypatch.setattr(ledger, "produced", away)
        worker.one()
        assert ledger.find(study.pseudonym).state == S.PRODUCED


class TestCommand:
    def run(self, tmp_path, *command):
        return processor(Work(command=command))(tmp_path, tmp_path / "out", datetime(2026, 1, 2, tzinfo=UTC))

    def test_its_folders_are_filled_in_and_its_times_read(self, tmp_path):
        script = "import json,sys; open(sys.argv[2] + '/result.json', 'w').write(json.dumps({'timings_s': {'case': 2}}))"
        assert self.run(tmp_path, sys.executable, "-c", script, "{input}", "{output}")["timings_s"] == {"case": 2}

    def test_its_exit_status_says_what_was_wrong_with_the_study(self, tmp_path):
        with pytest.raises(GeometryError):
            self.run(tmp_path, "sh", "-c", f"exit {GeometryError.exit_code}")

    def test_results_that_are_not_there_are_unforeseen_and_not_the_machines_fault(self, tmp_path):
        with pytest.raises(CommandFailedError, match=r"no result\.json"):
            self.run(tmp_path, "true")

    def test_any_other_status_is_unforeseen(self, tmp_path):
        with pytest.raises(Exception, match="status 139"):
            self.run(tmp_path, "sh", "-c", "exit 139")


class TestCompletion:
    def make(self, settings, ledger, **complete):
        clock = Clock()
        return Completion(settings.model_copy(update={"complete": Complete(quiet_s=10, **complete)}), ledger, clock), clock

    def state(self, ledger, study):
        return ledger.find(study.pseudonym).state

    def test_a_study_is_complete_when_it_has_been_quiet_for_long_enough(self, settings, ledger, arrive):
        completion, clock = self.make(settings, ledger)
        study = arrive()
        completion.touch(study.pseudonym)
        clock.now = 9
        completion.touch(study.pseudonym)
        clock.now = 18
        assert completion.tick() == 0
        clock.now = 19
        assert completion.tick() == 1
        assert self.state(ledger, study) == S.COMPLETE

    def test_the_agreed_number_of_instances_completes_it_at_once(self, settings, ledger, arrive):
        completion, _ = self.make(settings, ledger, instances=2)
        completion.touch(arrive().pseudonym)
        assert completion.tick() == 0
        study = arrive(numbers=(2,))
        assert completion.tick() == 1
        assert self.state(ledger, study) == S.COMPLETE

    def test_its_sender_may_say_so(self, settings, ledger, arrive):
        completion, _ = self.make(settings, ledger)
        study = arrive()
        completion.touch(study.pseudonym)
        completion.signal(study.pseudonym)
        assert completion.tick() == 1
        assert self.state(ledger, study) == S.COMPLETE

    def test_who_says_so_before_the_images_are_entered_is_remembered(self, settings, ledger, arrive, spool):
        completion, _ = self.make(settings, ledger)
        completion.signal(spool.pseudonym("1.2.826.0.1.3680043.10.543.1"))
        assert completion.tick() == 0
        study = arrive()
        assert completion.tick() == 1
        assert self.state(ledger, study) == S.COMPLETE

    def test_after_a_start_every_study_is_given_the_time_again(self, settings, ledger, arrive):
        study = arrive()
        completion, clock = self.make(settings, ledger)
        completion.start()
        assert completion.tick() == 0
        clock.now = 10
        assert completion.tick() == 1
        assert self.state(ledger, study) == S.COMPLETE

    def test_a_study_without_a_series_for_us_is_ignored(self, settings, ledger, arrive):
        changed = settings.model_copy(update={"rules": (Rule(modality="CT"),)})
        completion, clock = self.make(changed, ledger)
        study = arrive()
        completion.touch(study.pseudonym)
        clock.now = 10
        completion.tick()
        assert self.state(ledger, study) == S.IGNORED


class TestLeases:
    def test_a_heartbeat_that_stands_still_loses_the_study(self, ledger, waiting):
        clock = Clock()
        leases = Leases(ledger, Work(lease_s=10, attempts=3), clock)
        waiting()
        study = ledger.claim("w")
        assert leases.tick() == 0
        for clock.now in (8, 16, 24):
            ledger.beat(study)
            assert leases.tick() == 0
        clock.now = 34
        assert leases.tick() == 1
        assert ledger.find(study.pseudonym).state == S.COMPLETE

    def test_only_the_counter_counts_so_a_clock_that_jumps_takes_nothing(self, ledger, waiting):
        clock = Clock()
        leases = Leases(ledger, Work(lease_s=10, attempts=3), clock)
        waiting()
        ledger.claim("w")
        clock.now = 1e9
        assert leases.tick() == 0  # seen for the first time


SETTINGS = """
state = "state"
database = "{database}"
[work]
command = [{command}]
lease_s = 1.0
attempts = 2
drain_s = 0.2
"""


@pytest.mark.campaign
class TestPool:
    """Real worker processes."""

    @pytest.fixture
    def pool(self, tmp_path, database_url, ledger):
        pools = []

        def _pool(script):
            from braintumor.node.settings import load

            file = tmp_path / "node.toml"
            command = ", ".join(json.dumps(word) for word in ("sh", "-c", script, "{input}", "{output}"))
            file.write_text(SETTINGS.format(database=database_url, command=command))
            leases = Leases(ledger, load(file).work)
            pools.append(Pool(file, load(file), leases.owner_lost))
            return pools[-1]

        yield _pool
        for pool in pools:
            pool.stop()

    def reaches(self, pool, ledger, study, state):
        return until(lambda: (pool.tend(), ledger.find(study.pseudonym).state == state)[1])

    def test_a_worker_process_does_the_work(self, pool, ledger, waiting):
        study = waiting()
        assert self.reaches(pool("""printf '{"timings_s": {}}' > "$1/result.json" """), ledger, study, S.PRODUCED)

    def test_a_study_that_kills_its_worker_fails_and_the_next_one_is_done(self, pool, ledger, waiting, spool):
        poison, fine = waiting(1), waiting(2)
        script = (
            f"""case "$0" in *{poison.pseudonym}*) kill -9 $PPID;; esac; printf '{{"timings_s": {{}}}}' > "$1/result.json" """
        )
        running = pool(script)
        assert self.reaches(running, ledger, fine, S.PRODUCED)
        assert self.reaches(running, ledger, poison, S.FAILED)
        assert ledger.find(poison.pseudonym).reason == Reason.CRASHED

    def test_a_worker_that_must_stop_gives_its_study_back(self, pool, ledger, waiting, settings):
        study = waiting()
        running = pool("sleep 60")
        assert self.reaches(running, ledger, study, S.RUNNING)
        running.stop()
        back = ledger.find(study.pseudonym)
        assert (back.state, back.attempts) == (S.COMPLETE, 0)

    def test_workers_end_with_the_node_however_it_ends(self, tmp_path, database_url, ledger):
        file = tmp_path / "node.toml"
        file.write_text(SETTINGS.format(database=database_url, command=""))
        script = (
            "import sys, time; from pathlib import Path\n"
            "from braintumor.node.pool import Pool; from braintumor.node.settings import load\n"
            "file = Path(sys.argv[1]); pool = Pool(file, load(file), print); pool.tend()\n"
            "print(*pool.pids(), flush=True); time.sleep(60)"
        )
        with subprocess.Popen([sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE, text=True) as node:
            child = int(node.stdout.readline())
            os.kill(child, 0)
            node.send_signal(signal.SIGKILL)
        assert until(lambda: _ended(child))


def _ended(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
