"""The search index of one patient's notes: lives for one request, and is empty afterwards."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from braintumor.notes import instructions
from braintumor.notes.embedding import DIMENSIONS
from braintumor.notes.notices import Notices
from braintumor.notes.reading import Document
from braintumor.notes.sentences import split

_SMALL_WORDS = {
    "en": "the of and to in with was is for on at no he she has had be by his her from",
    "es": "el la los las de del con una para por que se fue está paciente sin más",
    "fr": "le la les des du avec une pour par que est été dans sans au patiente et",
    "de": "der die das und mit eine für von ist wurde bei nicht im zur den ohne keine",
    "pt": "o os as do da com uma para por que foi não em sem ao mais paciente",
    "it": "il lo gli di del della con una per che è stato nel senza non",
    "hi-latin": "hai hain ka ki ke ko mein se nahi aur tha thi raha rahi kar liye ho gaya",
}
_WORDS_OF = {language: frozenset(words.split()) for language, words in _SMALL_WORDS.items()}
_LATIN_END = "\u0250"
_ENOUGH = 0.12

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class IndexedSentence:
    """One sentence that may be quoted.

    Attributes
    ----------
    document
        Where it stands; `page` is 1-based, offsets are within that page.
    english
        Whether the embedding model can say anything about it.
    """

    document: Document = field(repr=False)
    page: int
    start: int
    end: int
    text: str = field(repr=False)
    heading: str = field(repr=False)
    english: bool


class NoteIndex:
    """Sentences of one patient and their vectors, in the memory of this object only.

    A context manager: on leaving, vectors are overwritten and sentences dropped, and nothing can be added or asked any more.
    There is no other way to fill an index than `add`, and no shared state, so what one request reads no other can find.

    Parameters
    ----------
    embed
        Sentences -> unit vectors; must keep nothing.
    most_embedded
        So many English sentences get a vector; later ones are there without.
    """

    def __init__(self, embed: Embed, most_embedded: int) -> None:
        self._embed = embed
        self._most = most_embedded
        self._entries: list[IndexedSentence] = []
        self._rows: list[int] = []  # entries with a vector, now or at the next question
        self._vectors: npt.NDArray[np.float32] = np.zeros((0, DIMENSIONS), np.float32)
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._vectors.fill(0)
        self._vectors = np.zeros((0, DIMENSIONS), np.float32)
        self._entries.clear()
        self._rows.clear()
        self._closed = True

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> Sequence[IndexedSentence]:
        """In the order they were added."""
        self._check_open()
        return self._entries

    def add(self, document: Document, notices: Notices) -> None:
        """Take the sentences of a document, without what speaks to a computer or deceives the eye."""
        self._check_open()
        foreign = _is_other_latin(document.text)
        for entry in _entries(document, foreign, notices):
            if not entry.english:
                notices.note("notes-by-keyword-only", document.number)
            elif len(self._rows) < self._most:
                self._rows.append(len(self._entries))
            else:
                notices.note("notes-too-long", document.number)
            self._entries.append(entry)

    def similarity(self, queries: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Largest cosine of each entry with any of the queries, -1..1; 0 for entries without a vector."""
        self._check_open()
        if pending := self._rows[len(self._vectors) :]:
            # runs of white space are line breaks of the page; what was copied from note to note is computed once
            texts = [" ".join(self._entries[n].text.split()) for n in pending]
            places = {text: n for n, text in enumerate(dict.fromkeys(texts))}
            vectors = self._embed(list(places))[[places[text] for text in texts]]
            self._vectors = np.concatenate([self._vectors, vectors])
        result = np.zeros(len(self._entries), np.float32)
        if self._rows:
            result[self._rows] = (self._vectors @ queries.T).max(axis=1)
        return result

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this index was closed with the request it belonged to")


def _entries(document: Document, foreign: bool, notices: Notices) -> Iterator[IndexedSentence]:
    heading = ""
    for page, text in enumerate(document.pages, start=1):
        sentences = split(text, heading)
        refused = set(instructions.left_out(text, sentences))
        if refused:
            notices.note("instruction-in-notes", document.number)
        for n, sentence in enumerate(sentences):
            words = text[sentence.start : sentence.end]
            if sentence.is_heading:
                heading = words
            elif n not in refused:
                if instructions.deceives(words) or instructions.deceives(sentence.heading):
                    notices.note("hidden-characters", document.number)
                else:
                    english = not foreign and not _is_foreign_script(words)
                    yield IndexedSentence(document, page, sentence.start, sentence.end, words, sentence.heading, english)


def _is_foreign_script(text: str) -> bool:
    """Whether at least three in ten letters are not Latin; a Greek letter in the name of a gene makes no sentence foreign."""
    letters = [c for c in text if c.isalpha()]
    foreign = sum(c >= _LATIN_END for c in letters)
    return foreign > 2 and foreign >= 0.3 * len(letters)


def _is_other_latin(text: str) -> bool:
    """Whether a note in Latin letters is more likely in another language than English.

    Says yes only where small words of that language are frequent and at least twice as frequent as English ones: clinicians'
    shorthand has few small words of any language.
    """
    words = Counter(re.findall(r"[^\W\d_]+", text.casefold()))
    total = sum(words.values())
    shares = {language: sum(words[w] for w in small) / max(total, 1) for language, small in _WORDS_OF.items()}
    english = shares.pop("en")
    best = max(shares.values())
    return total >= 20 and best >= _ENOUGH and best >= 2 * english
