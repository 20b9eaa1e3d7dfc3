"""The MONAI Deploy application: the same stages as ``braintumor run``, as a graph of operators.

    python deploy/map/app.py -i STUDY -o RESULTS -m model

The variables HOLOSCAN_INPUT_PATH, HOLOSCAN_OUTPUT_PATH, HOLOSCAN_MODEL_PATH and HOLOSCAN_WORKDIR of the MONAI Application
Package specification, and BRAINTUMOR_REASON and BRAINTUMOR_ORDER, take the place of options that are not given.

The input folder is a study, or holds ``current/`` (the study) and beside it, as far as there are any, ``priors/`` (a folder or
zip for each earlier study) and ``notes/`` (text and PDF).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stack import with_enough_stack

from braintumor.segment.weights import METADATA

if __name__ == "__main__":
    with_enough_stack()  # before the heavy imports, which would be made twice
if find_spec("operators") is None:  # run from a checkout; in the MAP image `operators` lies beside this file
    sys.path.append(str(Path(__file__).resolve().parents[2]))
# holoscan prints its own account of every exception before it raises it again; one account, ours, is enough.
os.environ.setdefault("HOLOSCAN_LOG_LEVEL", "OFF")

from operators import (
    CasePreparationOperator,
    FindingsOperator,
    MeasurementOperator,
    ResultsWriterOperator,
    SegmentationOperator,
    StudyReaderOperator,
    connect,
)

# isort: split
from holoscan.conditions import CountCondition
from monai.deploy.core import Application, RuntimeEnv

from braintumor.domain import BrainTumorError, InputNotFoundError, Results, WeightsError, check_output
from braintumor.pipeline import RunOptions, loaded_engine

CURRENT, PRIORS, NOTES = "current", "priors", "notes"
"""Folders of an input that holds more than one study."""

STOPPED = 130
"""Exit status of an interrupted run, as for ``braintumor run``."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the application reads and writes.

    Attributes
    ----------
    source
        A study, or a folder with `CURRENT`.
    model
        Model folder, or a folder with one model folder in it as MAP images have; None for the one packaged.
    """

    source: Path
    out: Path
    model: Path | None

    @property
    def study(self) -> Path:
        """The study itself."""
        return self.source / CURRENT if (self.source / CURRENT).is_dir() else self.source

    @property
    def priors(self) -> tuple[Path, ...]:
        """Earlier studies that came with it, by name; empty for a plain study.

        Raises
        ------
        InputNotFoundError
            If a file that is no zip lies among them: whose it is cannot be known.
        """
        if self.study == self.source or not (self.source / PRIORS).is_dir():
            return ()
        found = [path for path in sorted((self.source / PRIORS).iterdir()) if not path.name.startswith(".")]
        loose = next((path for path in found if not path.is_dir() and path.suffix.lower() != ".zip"), None)
        if loose is not None:
            problem = "A file lies loose among the earlier studies"
            raise InputNotFoundError(
                problem, remedy=f"Give each earlier study a folder or zip of its own in {PRIORS}/", path=loose
            )
        return tuple(found)

    @property
    def notes(self) -> tuple[Path, ...]:
        """The folder of notes that came with it, if there is one with something in it."""
        notes = self.source / NOTES
        return (notes,) if self.study != self.source and notes.is_dir() and any(notes.iterdir()) else ()


class BrainTumorApp(Application):
    """One study in, all results out, in one pass of the graph.

    ``run`` raises the `BrainTumorError` of the stage that failed; the output folder is then as it was.

    Attributes
    ----------
    results
        What was written; None before the graph has run, and if it was stopped.
    """

    def __init__(self, places: Places, options: RunOptions | None = None) -> None:
        self.places, self._asked = places, options or RunOptions()
        self._writer: ResultsWriterOperator | None = None
        self.timings: dict[str, float] = {}
        super().__init__([sys.argv[0]])  # our options are not holoscan's

    def compose(self) -> None:
        """Build the graph; what would fail at the end (output, weights) fails here, before minutes of work."""
        check_output(self.places.out)
        options = replace(
            self._asked,
            model=self.places.model and model_folder(self.places.model),
            priors=(*self.places.priors, *self._asked.priors),
            notes=(*self.places.notes, *self._asked.notes),
        )
        started = time.perf_counter()
        options = replace(options, engine=loaded_engine(options))
        self.timings["engine"] = round(time.perf_counter() - started, 3)
        once = CountCondition(self, 1)
        shared: dict[str, Any] = {"timings": self.timings, "options": options}
        self._writer = ResultsWriterOperator(self, name="results_writer", out=self.places.out, **shared)
        connect(
            self,
            (
                StudyReaderOperator(self, once, name="study_reader", source=self.places.study, **shared),
                CasePreparationOperator(self, name="case_preparation", **shared),
                SegmentationOperator(self, name="segmentation", **shared),
                MeasurementOperator(self, name="measurement", **shared),
                FindingsOperator(self, name="findings", **shared),
                self._writer,
            ),
        )

    @property
    def results(self) -> Results | None:
        """What was written."""
        return self._writer.results if self._writer else None


def model_folder(path: Path) -> Path:
    """The model folder at `path` or, as a MAP keeps its models, the only one below it.

    Raises
    ------
    WeightsError
        If there is none, or more than one.
    """
    found = [folder for folder in (path, *sorted(path.glob("*"))) if (folder / METADATA).is_file()]
    if len(found) != 1:
        problem = "There is no model folder here" if not found else "There is more than one model folder here"
        raise WeightsError(problem, remedy="Name the folder that holds configs/ and models/ with -m", path=path)
    return found[0]


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; what is not given is None."""
    parser = argparse.ArgumentParser(prog="app.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "-i", "--input", metavar="STUDY", type=Path, help="DICOM folder or zip, NIfTI case, or current/ with priors/ and notes/"
    )
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, help="folder for the results, empty or new")
    parser.add_argument("-m", "--model", metavar="FOLDER", type=Path, help="model folder; default: the one packaged")
    parser.add_argument("-w", "--workdir", metavar="FOLDER", type=Path, help="what relative HOLOSCAN_* paths are relative to")
    parser.add_argument("--prior", metavar="STUDY", type=Path, action="append", default=[], help="earlier study; repeatable")
    parser.add_argument(
        "--notes", metavar="PATH", type=Path, action="append", default=[], help="notes, file or folder; repeatable"
    )
    parser.add_argument("--reason", metavar="WORDS", help="why the study was ordered; or BRAINTUMOR_REASON")
    parser.add_argument("--order", metavar="URL", help="FHIR server to ask for the order; or BRAINTUMOR_ORDER")
    parser.add_argument("-l", "--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    return parser.parse_args(arguments)


def places(chosen: argparse.Namespace) -> Places:
    """Options first, then the HOLOSCAN_* variables (relative to HOLOSCAN_WORKDIR), then ``input`` and ``output``."""
    declared = RuntimeEnv({"model": ("HOLOSCAN_MODEL_PATH", "")})
    work = chosen.workdir or Path(declared.workdir)
    return Places(
        source=chosen.input or work / declared.input,
        out=chosen.output or work / declared.output,
        model=chosen.model or (work / declared.model if declared.model else None),
    )


def run_options(chosen: argparse.Namespace) -> RunOptions:
    """What the options, else the environment, say of the report; priors and notes of the input folder are not among them."""
    return RunOptions(
        priors=tuple(chosen.prior),
        notes=tuple(chosen.notes),
        reason=os.environ.get("BRAINTUMOR_REASON", "") if chosen.reason is None else chosen.reason,
        orders=os.environ.get("BRAINTUMOR_ORDER", "") if chosen.order is None else chosen.order,
    )


def _log_to_stderr(level: str) -> None:
    """Our own lines only: what other libraries log may quote a header, and so a patient."""
    logging.getLogger().addHandler(logging.NullHandler())  # without it, warnings of the others would still be printed
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    for name in ("braintumor", "operators"):
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers = [handler]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the application; returns the exit status, which is that of ``braintumor run`` for the same error."""
    chosen = options(sys.argv[1:] if arguments is None else arguments)
    _log_to_stderr(chosen.log_level)
    app = BrainTumorApp(places(chosen), run_options(chosen))
    try:
        app.run()
    except BrainTumorError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    if app.results is None:  # holoscan ends a graph quietly when it is told to stop
        print("Stopped before the end; nothing was written.", file=sys.stderr)
        return STOPPED
    print(f"Results in {app.results.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
