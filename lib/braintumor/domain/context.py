"""What a patient's notes say: sentences quoted word for word, each with the place where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from braintumor.domain.flags import Flag


class Topic(StrEnum):
    """What a neuro-oncology report wants to know from the notes, in the order of a report."""

    DIAGNOSIS = "diagnosis"
    SURGERY = "surgery"
    RADIOTHERAPY = "radiotherapy"
    DRUGS = "drugs"
    SYMPTOMS = "symptoms"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a sentence stands.

    Attributes
    ----------
    document
        Path inside the folder of notes, or the file's name. File names may hold names of patients: never log it.
    page
        1-based; None for text files.
    start, end
        Characters of the page's text (of the whole text where there are no pages), as decoded and without a byte order mark:
        ``text[start:end]`` is the sentence.
    sha256
        Of the document's bytes as read.
    """

    document: str = field(repr=False)
    page: int | None
    start: int
    end: int
    sha256: str


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """One sentence of the notes, word for word. Kept out of every log and message (`repr` shows no text).

    Attributes
    ----------
    text
        Exactly as the notes have it, line breaks included.
    score
        How well it fits the topic, 0..1; orders sentences of one topic, says nothing about truth.
    heading
        Words of the heading it stands under, '' if none is known. Show it with the sentence: under "Planned" or "Stopped" the
        same words mean something else.
    """

    topic: Topic
    text: str = field(repr=False)
    citation: Citation
    score: float
    heading: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Context:
    """What one patient's notes say, by topic.

    Attributes
    ----------
    sentences
        In the order of `Topic`; inside a topic newest document first, then as the document has them.
    """

    sentences: tuple[CitedSentence, ...]
    flags: tuple[Flag, ...] = ()

    def about(self, topic: Topic) -> tuple[CitedSentence, ...]:
        """The sentences of one topic, in order."""
        return tuple(s for s in self.sentences if s.topic is topic)
