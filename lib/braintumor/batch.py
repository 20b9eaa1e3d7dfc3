"""Many studies through the line, one after the other, and one table of what was measured in all of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from braintumor import pipeline
from braintumor.domain import (
    MANIFEST,
    BrainTumorError,
    CaseProgress,
    CorruptFileError,
    OutputError,
    Region,
    silent,
    write_bytes,
)
from braintumor.pipeline import RunOptions
from braintumor.study import read_study

TABLE = "volumes.csv"
"""The table beside the studies' folders: a row per study, volumes in mL."""

_USUAL = RunOptions()
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """How one study of a batch ended.

    Attributes
    ----------
    source
        As it was given.
    folder
        Where its results are, or would have been.
    manifest
        Content of its ``result.json``; None if it failed.
    error
        Why it failed; None if it did not.
    """

    source: str
    folder: Path
    manifest: dict[str, Any] | None = None
    error: BrainTumorError | None = None


def run_many(
    sources: Iterable[str | Path], out: str | Path, options: RunOptions = _USUAL, progress: CaseProgress = silent
) -> tuple[BatchEntry, ...]:
    """Run the line over several studies with one engine: ``out/NAME/`` for each, and ``out/volumes.csv`` for all.

    A study that fails does not stop the others. One whose results are there already, of the very same images (SHA-256), is not
    run again, so a batch that was stopped goes on with the same call. The table has the studies of the last call.

    Parameters
    ----------
    sources
        Each as `braintumor.run` takes it. Their names (the last part of the path) must differ.
    progress
        Called before each study with its name, how many are done, and how many there are.

    Raises
    ------
    OutputError
        If two sources have one name, or the table cannot be written.
    EngineError, WeightsError
        If no engine can be loaded; then nothing was run.
    """
    places = _named(sources, Path(out))
    options = replace(options, engine=pipeline.loaded_engine(options))
    entries: list[BatchEntry] = []
    for name, source in places.items():
        progress(name, len(entries), len(places))
        entries.append(_one(source, Path(out) / name, options))
        write_bytes(Path(out) / TABLE, _table(entries).encode())
    return tuple(entries)


def _named(sources: Iterable[str | Path], out: Path) -> dict[str, str | Path]:
    places: dict[str, str | Path] = {}
    for source in sources:
        name = str(source).rstrip("/").rpartition("/")[2]
        for ending in (".zip", ".gz", ".nii"):
            name = name.removesuffix(ending)
        if name in places or name in {"", ".", "..", TABLE}:
            problem = f"Two studies are called {name}" if name in places else f"{source} has no name of its own"
            raise OutputError(problem, remedy="Rename one folder, or run it alone", path=out)
        places[name] = source
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder cannot be made: {error.strerror}", remedy="Name another folder", path=out) from error
    return places


def _one(source: str | Path, folder: Path, options: RunOptions) -> BatchEntry:
    try:
        if (folder / MANIFEST).is_file():
            return BatchEntry(str(source), folder, _kept(source, folder, options))
        return BatchEntry(str(source), folder, dict(pipeline.run(source, folder, options).manifest))
    except BrainTumorError as error:
        return BatchEntry(str(source), folder, error=error)


def _kept(source: str | Path, folder: Path, options: RunOptions) -> dict[str, Any]:
    """The results of an earlier call, if they are of these very images: another patient's folder may have the same name."""
    study = read_study(source, overrides=options.overrides)
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        then = {one["sha256"] for series in manifest["input"]["series"].values() for one in series["instances"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptFileError("The earlier result cannot be read", remedy="Remove its folder", path=folder) from error
    now = {one.sha256 for series in study.series.values() for one in series.instances}
    if not now or now != then:
        raise OutputError("The folder holds results of other images", remedy="Name another output folder", path=folder)
    return manifest


def _table(entries: Sequence[BatchEntry]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["study", *(f"{region.value}_ml" for region in Region), "flags", "error"])
    rows.writerows([_plain(cell) for cell in _row(entry)] for entry in entries)
    return text.getvalue()


def _row(entry: BatchEntry) -> Iterator[str]:
    yield entry.folder.name
    regions = entry.manifest["measurements"]["regions"] if entry.manifest else {}
    for region in Region:
        yield f"{regions[region.value]['volume_ml']:.3f}" if region.value in regions else ""
    yield " ".join(flag["code"] for flag in entry.manifest["flags"]) if entry.manifest else ""
    yield f"{entry.error.code}: {entry.error.problem}" if entry.error else ""


def _plain(cell: str) -> str:
    """A spreadsheet would calculate what begins like a formula; a name of a folder must not be able to."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
