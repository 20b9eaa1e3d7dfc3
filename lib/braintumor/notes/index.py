"""The search index of one patient's notes: lives for one request, and is empty afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from braintumor.notes import instructions, language
from braintumor.notes.notices import Notices
from braintumor.notes.reading import Document
from braintumor.notes.sentences import split

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Entry:
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


class Index:
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
        self._entries: list[Entry] = []
        self._pending: list[int] = []
        self._rows: list[int] = []
        self._vectors: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> Sequence[Entry]:
        """In the order they were added."""
        self._check_open()
        return self._entries

    def add(self, document: Document, notices: Notices) -> None:
        """Take the sentences of a document, without what speaks to a computer or deceives the eye."""
        self._check_open()
        foreign = language.is_other_latin(document.text)
        for entry in _entries(document, foreign, notices):
            if not entry.english:
                notices.note("notes-by-keyword-only", document.number)
            elif len(self._rows) + len(self._pending) < self._most:
                self._pending.append(len(self._entries))
            else:
                notices.note("notes-too-long", document.number)
            self._entries.append(entry)

    def similarity(self, queries: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Largest cosine of each entry with any of the queries, -1..1; 0 for entries without a vector."""
        self._check_open()
        self._embed_pending()
        result = np.zeros(len(self._entries), np.float32)
        if self._rows:
            result[self._rows] = (self._vectors @ queries.T).max(axis=1)
        return result

    def close(self) -> None:
        """Forget everything; may be called again."""
        self._vectors.fill(0)
        self._vectors = np.zeros((0, 0), np.float32)
        self._entries.clear()
        self._pending.clear()
        self._rows.clear()
        self._closed = True

    def _embed_pending(self) -> None:
        if self._pending:
            # runs of white space are line breaks of the page; what was copied from note to note is computed once
            texts = [" ".join(self._entries[n].text.split()) for n in self._pending]
            places = {text: n for n, text in enumerate(dict.fromkeys(texts))}
            vectors = self._embed(list(places))[[places[text] for text in texts]]
            self._vectors = np.concatenate([self._vectors, vectors]) if self._rows else vectors
            self._rows += self._pending
            self._pending = []

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this index was closed with the request it belonged to")


def _entries(document: Document, foreign: bool, notices: Notices) -> Iterator[Entry]:
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
                    english = not foreign and not language.is_foreign_script(words)
                    yield Entry(document, page, sentence.start, sentence.end, words, sentence.heading, english)
