"""Notes in, cited sentences out: the whole way on one page. Nothing is written that does not stand in a note."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from braintumor.domain import Citation, CitedSentence, Context, Flag, Patient, Severity, Topic
from braintumor.notes import embedding, reading
from braintumor.notes.identity import Whose, whose
from braintumor.notes.index import IndexedSentence, NoteIndex
from braintumor.notes.notices import Notices
from braintumor.notes.topics import FORMS, LETTERHEADS, RELATIVES, SUBJECTS, Subject

THRESHOLD = 0.55
"""Least score that is shown; it and the weights below were chosen on ``TUNED_ON`` of `tests.notes.notes`."""

_KEYWORD, _SECOND_KEYWORD, _HEADING = 0.4, 0.05, 0.5
_UNREADABLE, _FEW_WORDS = 0.2, 4
"""What a keyword counts more where the model sees little: in another language, and in so few words. It then passes alone."""


@dataclass(frozen=True, slots=True)
class ContextOptions:
    """How notes are read and summarised.

    Attributes
    ----------
    patient
        Whose notes they should be, as DICOM has it; empty fields are not compared. None: nothing is compared.
    per_topic
        At most so many sentences of each topic.
    """

    patient: Patient | None = None
    per_topic: int = 6
    limits: reading.Limits = field(default_factory=reading.Limits)

    def __post_init__(self) -> None:
        if self.per_topic < 1:
            raise ValueError(f"per_topic must be 1 or more, not {self.per_topic}")


def summarise(notes: Sequence[Path] | Path, *, options: ContextOptions | None = None) -> Context:
    """What one patient's notes say about each topic, word for word and with the place where it stands.

    The notes are held in memory during this call and nowhere after it. Safe to call from several threads.

    Parameters
    ----------
    notes
        A folder (with its folders) or files, ``.txt``, ``.md`` or ``.pdf``, of one patient.

    Raises
    ------
    InputNotFoundError
        If a path does not exist, or there is no file of these types. A file that cannot be read is a flag and no error.
    NotInstalledError
        If the embedding model is not installed, or pypdf is missing and there is a PDF.
    WeightsError
        If the embedding model's files are not the published ones.
    """
    options = options or ContextOptions()
    notices = Notices()
    found = reading.find(notes, notices)
    encoder = embedding.load()
    with NoteIndex(encoder, options.limits.sentences) as index:
        documents = [d for d in reading.read(found, options.limits, notices) if _is_ours(d, options.patient, notices)]
        for document in sorted(documents, key=_newest_first):
            index.add(document, notices)
        sentences = tuple(_answers(index, options.per_topic))
    flags = notices.flags(len(found))
    return Context(sentences, flags if documents else (_NOTHING_READ, *flags))


_NOTHING_READ = Flag("no-notes-read", Severity.SERIOUS, "None of the notes could be used; the other flags say why.")


def _is_ours(document: reading.Document, patient: Patient | None, notices: Notices) -> bool:
    if patient is None:
        return True
    said = whose(document.text, patient)
    if said is Whose.ANOTHERS:
        notices.note("notes-of-other-patient", document.number)
    elif said is Whose.UNSAID:
        notices.note("patient-unconfirmed", document.number)
    return said is not Whose.ANOTHERS


def _newest_first(document: reading.Document) -> tuple[int, int]:
    # those without a date come last, in the order of their names
    return (-document.written.toordinal() if document.written else 0, document.number)


def _answers(index: NoteIndex, most: int) -> Iterator[CitedSentence]:
    for topic, subject in SUBJECTS.items():
        scores = _scores(index, topic, subject)
        chosen: list[int] = []
        seen: set[str] = set()
        for n in np.argsort(-scores, kind="stable"):
            if scores[n] < THRESHOLD or len(chosen) == most:
                break
            words = _compared(index.entries[n])
            if words not in seen:
                seen.add(words)
                chosen.append(int(n))
        # entries stand newest document first, then in the order of the document
        yield from (_cited(topic, index.entries[n], float(scores[n])) for n in sorted(chosen))


def _scores(index: NoteIndex, topic: Topic, subject: Subject) -> npt.NDArray[np.float32]:
    similarities = np.clip(index.similarity(_queries(topic)), 0, 1)
    scores = np.zeros_like(similarities)
    for n, entry in enumerate(index.entries):
        if not FORMS.fullmatch(entry.text) and (topic is Topic.HISTORY or not _of_relative(entry)):
            scores[n] = _score(entry, float(similarities[n]), topic, subject)
    return scores


def _score(entry: IndexedSentence, similarity: float, topic: Topic, subject: Subject) -> float:
    length = len(entry.text.split())
    keywords = len(subject.matches(entry.text)) + (topic is Topic.HISTORY and _of_relative(entry))
    if not keywords and (length == 1 or LETTERHEADS.fullmatch(entry.text)):
        return 0.0
    score = similarity + (_HEADING if subject.headings.search(entry.heading) else 0.0)
    if keywords:
        score += _KEYWORD + (_SECOND_KEYWORD if keywords > 1 else 0.0)
        score += 0.0 if entry.english and length > _FEW_WORDS else _UNREADABLE
    return min(1.0, score)


def _of_relative(entry: IndexedSentence) -> bool:
    return bool(RELATIVES.search(entry.text) or RELATIVES.search(entry.heading))


@cache
def _queries(topic: Topic) -> npt.NDArray[np.float32]:
    # of our own questions only; nothing of a note is ever cached
    return embedding.load()(SUBJECTS[topic].queries)


def _compared(entry: IndexedSentence) -> str:
    # only sentences with the same words are one: vectors of "4 mg" and "8 mg", or of left and right, are nearly equal
    return " ".join(re.findall(r"[^\W_]+|[\u0900-\u097f]+|[<>≤≥+-]", entry.text.casefold()))


def _cited(topic: Topic, entry: IndexedSentence, score: float) -> CitedSentence:
    page = entry.page if entry.document.paged else None
    place = Citation(entry.document.name, page, entry.start, entry.end, entry.document.sha256)
    return CitedSentence(topic, entry.text, place, round(score, 3), entry.heading.strip("#*_:\uff1a \t"))
