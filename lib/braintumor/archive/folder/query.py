"""Searching the index as QIDO-RS does (PS3.18 8.3.4 and 10.6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from braintumor.archive.folder.facts import INSTANCE_TAGS, SERIES_TAGS, STUDY_TAGS, FileFacts, tag_name
from braintumor.archive.folder.index import Tree
from braintumor.archive.folder.model import Element

Answer = dict[str, Element]

_RANGED = ("DA", "TM", "DT")
_MODALITIES = tag_name("ModalitiesInStudy")
_STUDY_SERIES, _STUDY_INSTANCES = tag_name("NumberOfStudyRelatedSeries"), tag_name("NumberOfStudyRelatedInstances")
_SERIES_INSTANCES = tag_name("NumberOfSeriesRelatedInstances")
_SYNTAX = tag_name("AvailableTransferSyntaxUID")


def studies(tree: Tree) -> list[Answer]:
    """Every study, newest first."""
    answers = [_study(series) for series in tree.values()]
    order = (tag_name("StudyDate"), tag_name("StudyTime"), tag_name("StudyInstanceUID"))
    return sorted(answers, key=lambda answer: tuple(map(str, (_first(answer, tag) for tag in order))), reverse=True)


def series(tree: Tree, study_uid: str | None = None) -> list[Answer]:
    """Every series of one study, or of all (then with the study's attributes), by number."""
    answers = []
    for uid in [study_uid] if study_uid is not None else tree:
        found = tree.get(uid, {})
        above = _study(found) if study_uid is None and found else {}
        answers += sorted((above | _series(files) for files in found.values()), key=_number(tag_name("SeriesNumber")))
    return answers


def instances(tree: Tree, study_uid: str | None = None, series_uid: str | None = None) -> list[Answer]:
    """Every instance of one series, of one study, or of all, by number; attributes of the levels above where not fixed."""
    answers = []
    for uid in [study_uid] if study_uid is not None else tree:
        found = tree.get(uid, {})
        above = _study(found) if study_uid is None and found else {}
        for key in [series_uid] if series_uid is not None else found:
            files = found.get(key, {})
            level = above | (_series(files) if series_uid is None and files else {})
            answers += sorted((level | _instance(facts) for facts in files.values()), key=_number(tag_name("InstanceNumber")))
    return answers


def select(answers: Iterable[Answer], filters: Mapping[str, Any], limit: int | None = None, offset: int = 0) -> list[Answer]:
    """Those that match every filter, from `offset` on.

    Parameters
    ----------
    filters
        Keyword or tag -> value, with ``*`` and ``?`` in texts, ``from-to`` in dates and times, and lists of UIDs. Names match
        whatever their case. What the index does not keep is not filtered by.
    """
    wanted = {tag: str(value) for key, value in filters.items() if (tag := _tag(key)) in _SEARCHABLE and str(value or "")}
    found = [answer for answer in answers if all(_matches(answer, tag, value) for tag, value in wanted.items())]
    return found[offset:] if limit is None else found[offset : offset + limit]


def is_attribute(key: str) -> bool:
    """Whether a query parameter names a DICOM attribute, by keyword or tag."""
    return _tag(key) is not None


_SEARCHABLE = frozenset((*STUDY_TAGS, *SERIES_TAGS, *INSTANCE_TAGS, _MODALITIES))


def _tag(key: str) -> str | None:
    if re.fullmatch("[0-9A-Fa-f]{8}", key):
        return key.upper()
    number = tag_for_keyword(key)
    return None if number is None else f"{number:08X}"


def _matches(answer: Answer, tag: str, wanted: str) -> bool:
    vr = dictionary_VR(int(tag, 16))
    stored = [_text(value) for value in answer.get(tag, {}).get("Value", ())]
    if vr == "UI" or tag == _MODALITIES:
        return any(value in re.split(r"[,\\]", wanted) for value in stored)
    if vr in _RANGED and "-" in wanted:
        low, _, high = wanted.partition("-")
        return any((not low or value >= low) and (not high or value[: len(high)] <= high) for value in stored if value)
    if wanted.strip("*") == "":
        return True  # universal matching: also where the attribute is empty
    pattern = re.escape(wanted).replace(r"\*", ".*").replace(r"\?", ".")
    return any(re.fullmatch(pattern, value, re.IGNORECASE if vr == "PN" else 0) for value in stored)


def _text(value: Any) -> str:
    """A person's name as its first representation, anything else as text."""
    return str(next(iter(value.values()), "") if isinstance(value, dict) else value)


def _study(found: Mapping[str, Mapping[str, FileFacts]]) -> Answer:
    first = next(iter(next(iter(found.values())).values()))
    modalities = sorted({str(next(iter(files.values())).value("Modality", "")) for files in found.values()})
    return _copied(first, STUDY_TAGS) | {
        _MODALITIES: {"vr": "CS", "Value": modalities},
        _STUDY_SERIES: {"vr": "IS", "Value": [len(found)]},
        _STUDY_INSTANCES: {"vr": "IS", "Value": [sum(map(len, found.values()))]},
    }


def _series(files: Mapping[str, FileFacts]) -> Answer:
    first = next(iter(files.values()))
    own = {tag_name("StudyInstanceUID"): {"vr": "UI", "Value": [first.study]}}
    return own | _copied(first, SERIES_TAGS) | {_SERIES_INSTANCES: {"vr": "IS", "Value": [len(files)]}}


def _instance(facts: FileFacts) -> Answer:
    uids = {"StudyInstanceUID": facts.study, "SeriesInstanceUID": facts.series}
    own: Answer = {tag_name(keyword): {"vr": "UI", "Value": [uid]} for keyword, uid in uids.items()}
    return own | _copied(facts, INSTANCE_TAGS) | {_SYNTAX: {"vr": "UI", "Value": [facts.syntax]}}


def _copied(facts: FileFacts, tags: Iterable[str]) -> Answer:
    return {tag: facts.attributes[tag] for tag in tags if tag in facts.attributes}


def _first(answer: Answer, tag: str) -> Any:
    return next(iter(answer.get(tag, {}).get("Value") or ()), "")


def _number(tag: str) -> Any:
    def key(answer: Answer) -> tuple[float, str]:
        number = _first(answer, tag)
        uid = _first(answer, tag_name("SOPInstanceUID")) or _first(answer, tag_name("SeriesInstanceUID"))
        return (number if isinstance(number, int) else float("inf"), str(uid))

    return key
