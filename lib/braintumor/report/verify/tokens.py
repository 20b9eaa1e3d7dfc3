"""A sentence as words, numbers and punctuation, with Unicode's several ways of writing the same thing settled."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

FIRST_PLACE = 0xE000
"""Private-use character that stands for the first thing that was cut out of a text (quoted words, dates)."""

LAST_PLACE = 0xE0FF
_LIKE = str.maketrans(
    {"\u2010": "-", "\u2011": "-", "\u2019": "'", "\u02bc": "'", "\u200c": None, "\u200d": None, "\u00b7": ".", "\u066b": "."}
)
_THOUSANDS = re.compile(r"\d{1,3}(?:([,.])\d{3})(?:\1\d{3})*|\d{1,2}(?:,\d{2})+,\d{3}")


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a number or a punctuation mark.

    Attributes
    ----------
    text
        As it is compared: small letters.
    raw
        With its capitals: units are told apart by them.
    value
        Of a number, without its sign; None for everything else and for what is no well-formed number.
    sign
        1, -1 or 0 where none is written.
    place
        Number of what was cut out here; None for ordinary tokens.
    """

    text: str
    raw: str
    is_number: bool = False
    value: Decimal | None = None
    sign: int = 0
    place: int | None = None

    @property
    def is_word(self) -> bool:
        """Whether it starts with a letter."""
        return self.place is None and not self.is_number and (self.text[:1].isalpha())


def clean(text: str) -> str:
    """NFC, one kind of space and hyphen, no joiners, digits of every script as 0-9.

    >>> clean("१२\u00a0मिली")
    '12 मिली'
    """
    text = unicodedata.normalize("NFC", text).translate(_LIKE)
    text = "".join(str(unicodedata.digit(c)) if unicodedata.category(c) == "Nd" else c for c in text)
    text = re.sub(r"(?<=[^\s\d(.,])([²³])", lambda m: "2" if m[1] == "²" else "3", text)
    return re.sub(r"\s+", " ", text).strip()


def fold(text: str, rules: Iterable[tuple[re.Pattern[str], str]]) -> str:
    """`text` after a language's spelling rules, in order."""
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def tokenise(text: str) -> tuple[Token, ...]:
    """Tokens of a clean text; hyphens inside words separate them and are dropped.

    >>> [t.text for t in tokenise("65-year-old, -1.5 mm")]
    ['65', 'year', 'old', ',', '-1.5', 'mm']
    """
    return tuple(_token(match) for match in _pattern().finditer(text) if match.lastgroup != "gap")


def number(text: str) -> Decimal | None:
    """The value of digits with separators; None where they could mean two things or nothing.

    >>> number("3,939"), number("3939"), number("45,2"), number("1.2.3")
    (Decimal('3939'), Decimal('3939'), Decimal('45.2'), None)
    """
    digits = text.replace(" ", "")
    whole, separator, rest = digits, "", ""
    if "." in digits or "," in digits:
        at = max(digits.rfind("."), digits.rfind(","))
        whole, separator, rest = digits[:at], digits[at], digits[at + 1 :]
    if separator == "," and _THOUSANDS.fullmatch(digits):
        return Decimal(digits.replace(",", ""))
    if separator in whole and separator:
        return None
    if _THOUSANDS.fullmatch(whole):
        whole = whole.replace(",", "").replace(".", "")
    return Decimal(f"{whole}.{rest}" if rest else whole) if whole.isdigit() else None


def _token(match: re.Match[str]) -> Token:
    raw, kind = match[0], match.lastgroup
    if kind == "place":
        return Token(raw, raw, place=ord(raw) - FIRST_PLACE)
    if kind == "number":
        sign = {"+": 1, "-": -1, "\u2212": -1}.get(raw[0], 0)
        return Token(raw, raw, True, number(raw[1:] if sign else raw), sign)
    return Token(raw.casefold(), raw)


@cache
def _pattern() -> re.Pattern[str]:
    # Python's \w knows letters but not the vowel signs that Indian scripts put after them
    marks = "".join(chr(c) for c in range(0x300, 0x10000) if unicodedata.category(chr(c)).startswith("M"))
    letter = rf"(?:[^\W\d_]|[{marks}])"
    return re.compile(
        rf"(?P<place>[{chr(FIRST_PLACE)}-{chr(LAST_PLACE)}])"
        r"|(?P<number>(?:(?<![\w)%.,])[+\-\u2212])?(?:\d{1,3}(?: \d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*))"
        rf"|(?P<word>{letter}(?:{letter}|\d)*)"
        r"|(?P<gap>(?<=[^\s(])-(?=[^\W\d_])|(?<=[^\W\d_])-(?=\d)|\s+)"
        r"|(?P<mark>.)"
    )
