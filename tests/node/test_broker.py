"""Workers behind a real broker: a study is done once, whoever is killed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from braintumor.node.broker import Dispatcher
from braintumor.node.leases import Leases
from braintumor.node.settings import load
from braintumor.node.states import StudyState
from deploy.dev.services import RabbitMq, Redis

S = StudyState

SETTINGS = """
state = "state"
database = "{database}"
broker = "{broker}"
[work]
command = [{command}]
lease_s = 1.5
"""
DONE = """printf '{"timings_s": {}}' > "$1/result.json" """


@pytest.fixture(scope="module", params=[RabbitMq, Redis], ids=lambda kind: kind.__name__)
def broker(request):
    service = request.param()
    try:
        service.start()
    except RuntimeError as error:
        pytest.skip(str(error))
    yield service
    service.close()


@pytest.fixture
def database_url(tmp_path):
    """The brokers are what is tested here; the databases are in test_ledger."""
    return f"sqlite:///{tmp_path / 'node.db'}"


@pytest.fixture
def settings(tmp_path, database_url, broker):
    def _settings(script):
        command = ", ".join(json.dumps(word) for word in ("sh", "-c", script, "{input}", "{output}"))
        file = tmp_path / "node.toml"
        file.write_text(SETTINGS.format(database=database_url, broker=broker.url, command=command))
        return file

    return _settings


@pytest.fixture
def workers():
    """Starts `braintumor node worker` processes, each in a group of its own."""
    started = []

    def _workers(file):
        command = [sys.executable, "-m", "braintumor", "node", "worker", "--settings", str(file)]
        started.append(subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL))
        return started[-1]

    yield _workers
    for process in started:
        kill(process)


def kill(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(condition, seconds=40):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def runs(ledger, study):
    return [code for _, _, code, _ in ledger.events(study.pseudonym)].count("running")


def test_a_study_whose_message_comes_twice_is_done_once(settings, workers, ledger, arrive):
    study = arrive()
    ledger.complete(study)
    dispatcher = Dispatcher(load(settings(DONE)))
    workers(settings(DONE))
    assert all(dispatcher.send(study.pseudonym) for _ in range(3))
    assert until(lambda: ledger.find(study.pseudonym).state == S.PRODUCED)
    other = arrive(2)
    ledger.complete(other)
    dispatcher.send(other.pseudonym)  # behind the three in the queue
    assert until(lambda: ledger.find(other.pseudonym).state == S.PRODUCED)
    assert runs(ledger, study) == 1
    dispatcher.close()


def test_what_a_killed_worker_had_is_taken_over_once(settings, workers, ledger, arrive, tmp_path):
    first = tmp_path / "first"
    file = settings(f'if mkdir {first}; then sleep 60; fi; printf \'{{"timings_s": {{}}}}\' > "$1/result.json"')
    found = load(file)
    dispatcher, leases = Dispatcher(found), Leases(ledger, found.work)
    study = arrive()
    ledger.complete(study)
    one = workers(file)
    dispatcher.send(study.pseudonym)
    assert until(first.exists)
    kill(one)
    workers(file)
    assert until(lambda: (leases.tick(), ledger.find(study.pseudonym).state == S.COMPLETE)[1])
    dispatcher.send(study.pseudonym)
    assert until(lambda: ledger.find(study.pseudonym).state == S.PRODUCED)
    assert runs(ledger, study) == 2
    dispatcher.close()


def test_a_broker_that_is_down_is_told_and_used_again_when_it_is_back(settings, workers, ledger, arrive, broker):
    file = settings(DONE)
    dispatcher = Dispatcher(load(file))
    study = arrive()
    ledger.complete(study)
    broker.kill()
    assert not dispatcher.send(study.pseudonym)
    broker.start()
    workers(file)
    assert until(lambda: dispatcher.send(study.pseudonym))
    assert until(lambda: ledger.find(study.pseudonym).state == S.PRODUCED)
    dispatcher.close()
