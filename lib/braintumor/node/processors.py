"""How a worker turns images into results: this package's own stages, or a command such as a MAP image."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from braintumor.domain import BrainTumorError, EngineError, errors, sync_folder
from braintumor.node.settings import Work

if TYPE_CHECKING:
    from braintumor.pipeline import RunOptions

_UID = re.compile(r"\d+(?:\.\d+){4,}")


class Processor(Protocol):
    """Turns images into results."""

    def prepare(self) -> None:
        """Load what every study needs, before the first one is taken; raises what `__call__` would."""

    def __call__(self, images: Path, out: Path, created: datetime) -> Mapping[str, Any]:
        """Write the results of the images into the new folder `out`, durably; returns their manifest (``result.json``).

        Raises
        ------
        BrainTumorError
            If the study cannot be done.
        """


def processor(work: Work) -> Processor:
    """The processor that the settings name."""
    return _Command(work.command, work.limit_s) if work.command else _Stages(work)


class _Stages:
    """The stages in this process, with an engine that stays loaded from study to study."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._options: RunOptions | None = None

    def prepare(self) -> None:
        """Load the engine."""
        self._ready()

    def __call__(self, images: Path, out: Path, created: datetime) -> Mapping[str, Any]:
        from braintumor import pipeline

        result = pipeline.run(images, out, replace(self._ready(), created=created))
        make_durable(out)
        return result.manifest

    def _ready(self) -> RunOptions:
        from braintumor import pipeline  # PyTorch and all: only a worker pays for it
        from braintumor.segment import load_engine

        if self._options is None:
            self._options = pipeline.RunOptions(engine=load_engine(self._work.engine, self._work.model))
        return self._options


@dataclass(frozen=True)
class _Command:
    """A command with the folders in place of {input} and {output}; its exit status is that of ``braintumor run``."""

    command: tuple[str, ...]
    limit_s: float

    def prepare(self) -> None:
        """Nothing: each study starts the command anew."""

    def __call__(self, images: Path, out: Path, created: datetime) -> Mapping[str, Any]:
        out.mkdir(parents=True)
        places = {"{input}": str(images), "{output}": str(out), "{created}": created.isoformat()}
        command = [_filled(word, places) for word in self.command]
        try:
            done = subprocess.run(command, capture_output=True, timeout=self.limit_s, check=False)  # noqa: S603
        except OSError as error:
            raise EngineError("The command of work.command cannot be started", remedy="Check the settings") from error
        if done.returncode:
            raise _told(done.returncode)
        manifest = out / "result.json"
        if not manifest.is_file():
            raise CommandFailedError("no result.json")
        make_durable(out)
        return dict(json.loads(manifest.read_text()))


class CommandFailedError(Exception):
    """A command ended with a status that is not one of ours, or well and without results."""


def _told(status: int) -> Exception:
    """The error that an exit status stands for."""
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, BrainTumorError) and kind.exit_code == status and status > 1:
            return kind(kind.meaning, remedy="Look at the images with `braintumor inspect`")
    return CommandFailedError(f"status {status}")


def _filled(word: str, places: Mapping[str, str]) -> str:
    for name, value in places.items():
        word = word.replace(name, value)
    return word


def without_uids(words: str) -> str:
    """A message for pages and tables: UIDs name a study in every other system, so they stay out."""
    return _UID.sub("(UID)", words)


def make_durable(folder: Path) -> None:
    """When this returns, a power cut loses nothing below `folder`."""
    for place, _, names in os.walk(folder):
        for name in names:
            handle = os.open(Path(place) / name, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(Path(place))
    sync_folder(folder.parent)
