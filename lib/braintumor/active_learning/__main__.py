"""``python -m braintumor.active_learning JOB_FOLDER``: one retraining in a process of its own; SIGTERM ends it cleanly."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from threading import Event

from braintumor.active_learning.job import read_job
from braintumor.active_learning.retrain import facts_of, polite, run
from braintumor.domain import BrainTumorError, JobState

CANCELLED = 128 + signal.SIGTERM


def main() -> int:
    """Exit status 0: completed, whatever the verdict; 143: cancelled; 1: failed, see ``status.json``; else of the error."""
    parser = argparse.ArgumentParser(prog="python -m braintumor.active_learning", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with job.json; status.json appears in it")
    folder: Path = parser.parse_args().folder
    stop = Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, frame: stop.set())
    try:
        polite(read_job(folder))
        status = run(folder, stop.is_set)
    except BrainTumorError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps(facts_of(status)))
    return {JobState.COMPLETED: 0, JobState.CANCELLED: CANCELLED}.get(status.state, 1)


if __name__ == "__main__":
    sys.exit(main())
