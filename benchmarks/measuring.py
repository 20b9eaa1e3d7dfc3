"""Runs one measurement in this process and prints its figures as one line of JSON; `benchmarks.run` starts it."""

from __future__ import annotations

import gc
import importlib
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

Notes = dict[str, Any]
Job = Callable[[], Notes | None]
"""What is timed; the last run's notes are kept."""

BUDGET_S = 90.0
"""No further repeat is started after this many seconds."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where a measurement finds its inputs.

    Attributes
    ----------
    work
        Folder shared by all measurements of one run; see `benchmarks.inputs` for what is in it.
    extra
        Further words from the command line.
    """

    work: Path
    extra: dict[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of one measurement.

    Attributes
    ----------
    seconds
        One per repeat.
    before_mb, peak_mb
        Resident memory before the first repeat, with libraries and inputs loaded, and its peak while running.
    """

    name: str
    seconds: list[float] = field(default_factory=list)
    before_mb: float = 0.0
    peak_mb: float = 0.0
    notes: Notes = field(default_factory=dict)
    error: str = ""

    @property
    def median(self) -> float | None:
        """Median seconds; None if the measurement failed."""
        return statistics.median(self.seconds) if self.seconds else None


def measure(job: Job, repeats: int) -> dict[str, Any]:
    """Time a job; fewer repeats than asked for if it is slow."""
    gc.collect()
    _forget_peak()
    before = psutil.Process().memory_info().rss / 1e6
    seconds: list[float] = []
    notes: Notes | None = None
    while len(seconds) < repeats and sum(seconds) < BUDGET_S:
        started = time.perf_counter()
        notes = job()
        seconds.append(round(time.perf_counter() - started, 4))
    return {"seconds": seconds, "before_mb": round(before), "peak_mb": round(_peak_mb()), "notes": notes or {}}


def _forget_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM (proc(5)): making the inputs ready is not measured


def _peak_mb() -> float:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main() -> None:
    request = json.loads(sys.argv[1])
    module, function = request["name"].split(":")
    prepare: Callable[[Inputs], Job] = getattr(importlib.import_module(f"benchmarks.{module}"), function)
    job = prepare(Inputs(Path(request["work"]), request["extra"]))
    once = module == "inputs"
    print(json.dumps(measure(job, 1 if once else request["repeats"])))


if __name__ == "__main__":
    main()
