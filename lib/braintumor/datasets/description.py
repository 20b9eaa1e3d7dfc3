"""The dataset.json of MSD and nnU-Net: which channel is which sequence, and what the labels are called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from braintumor.datasets.meaning import Meaning, from_names
from braintumor.domain import InputNotFoundError, MissingSequenceError, MRSequence
from braintumor.study.nifti import find_case

FILE = "dataset.json"


@dataclass(frozen=True, slots=True)
class Description:
    """A dataset.json.

    Attributes
    ----------
    channels
        Channel number -> name, as written; empty if the file names none.
    labels
        As written; empty if the file names none.
    """

    path: Path
    channels: Mapping[int, str]
    labels: Mapping[str, Any]

    def sequences(self) -> dict[MRSequence, int]:
        """Which channel is which sequence.

        Raises
        ------
        MissingSequenceError
            If channels are not named, by a name that is not known, or two alike.
        """
        found: dict[MRSequence, int] = {}
        for number, name in self.channels.items():
            sequence = _sequence(name)
            if sequence is None or sequence in found:
                raise MissingSequenceError(
                    f"Channel {number} is called '{name}', "
                    + ("which is none of T1, T1ce, T2 and FLAIR" if sequence is None else "as another one is"),
                    remedy="Name the channels T1w, T1gd, T2w and FLAIR in dataset.json",
                    path=self.path,
                )
            found[sequence] = number
        if not found:
            raise MissingSequenceError(
                "No channel is named", remedy="Add 'channel_names' to dataset.json: T1w, T1gd, T2w, FLAIR", path=self.path
            )
        return found

    def meaning(self) -> Meaning:
        """What the mask values are, by their names; see `braintumor.datasets.meaning.from_names`."""
        if not self.labels:
            raise InputNotFoundError("No label is named", remedy="Add 'labels' to dataset.json", path=self.path)
        return from_names(self.labels, self.path)


def describe(folder: Path) -> Description | None:
    """The description of a data set; None if the folder holds none.

    Raises
    ------
    InputNotFoundError
        If it is there but no JSON object.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        channels = content.get("channel_names") or content.get("modality") or {}
        return Description(path, {int(key): str(name) for key, name in channels.items()}, dict(content.get("labels") or {}))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputNotFoundError(
            "The description of the data set cannot be read", remedy="Correct or remove dataset.json", path=path
        ) from error


def _sequence(name: str) -> MRSequence | None:
    """By the same table as file names: a channel called T1gd is what a file called case_T1gd.nii.gz would be."""
    token = "".join(c for c in name if c.isalnum())
    return next(iter(find_case([Path(f"case_{token}.nii.gz")], {}, _ignore).files), None)


def _ignore(error: Exception) -> None:
    """A single file cannot compete with another."""
