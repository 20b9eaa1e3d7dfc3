"""What is asked of the notes: per topic, statements for the embedding model and keywords in English and Hindi."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from braintumor.domain import Topic

_DATA: Mapping[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Subject:
    """How one topic is looked for.

    Attributes
    ----------
    queries
        English, as a note would say it: the model compares meaning, and statements are closer to statements than questions are.
    keywords
        Matches words of English that rarely stand in sentences about anything else.
    hindi
        Parts of words, as `plain` writes them.
    headings
        Matches a heading whose items belong to the topic whatever words they use.
    """

    queries: tuple[str, ...]
    keywords: re.Pattern[str]
    hindi: tuple[str, ...]
    headings: re.Pattern[str]

    def matches(self, sentence: str) -> frozenset[str]:
        """The different keywords in a sentence."""
        words = plain(sentence)
        english = {found.group().casefold() for found in self.keywords.finditer(sentence)}
        return frozenset(english) | {word for word in self.hindi if word in words}


def plain(text: str) -> str:
    """Lower case, nukta left out and chandrabindu as anusvara: Hindi is typed with and without them."""
    apart = unicodedata.normalize("NFD", text.casefold())
    return unicodedata.normalize("NFC", apart.replace("\u093c", "").replace("\u0901", "\u0902"))


def _any(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{p})" for p in patterns), re.IGNORECASE | re.DOTALL)


def _words(patterns: list[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b", re.IGNORECASE)


def _subject(data: Mapping[str, list[str]]) -> Subject:
    hindi = tuple(plain(word) for word in data["hindi"])
    return Subject(tuple(data["queries"]), _words(data["keywords"]), hindi, _words(data["headings"]))


SUBJECTS: Mapping[Topic, Subject] = {topic: _subject(_DATA["topics"][topic]) for topic in Topic}

FORMS = _any(_DATA["forms"])
"""Matches whole sentences that are fields of forms, salutations or signatures: they name people and no disease."""

LETTERHEADS = _any(_DATA["letterheads"])
"""Matches whole sentences that may be no more than the name of a clinic or a kind of letter."""

RELATIVES = _any(_DATA["relatives"])
"""A relative's disease: it belongs to the history and to no other topic."""
