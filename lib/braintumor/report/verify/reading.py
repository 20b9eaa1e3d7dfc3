"""Reads a sentence into items: what each word, number and date of it says, and what nobody knows."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import Enum, auto

from braintumor.report.statements import Statement, Verbatim
from braintumor.report.verify.lexicon import Lexicon, Unit, Words
from braintumor.report.verify.tokens import FIRST_PLACE, LAST_PLACE, Token, clean, fold, tokenise

QUOTES = "\"'\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019"
_MAX_PHRASE = 14
_FIRST_DATE = 64


class Sort(Enum):
    """What an item of a sentence is."""

    CONCEPT = auto()
    NEUTRAL = auto()
    NUMBER = auto()
    DATE = auto()
    QUOTE = auto()
    MARK = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Item:
    """A stretch of a sentence that is read as one.

    Attributes
    ----------
    start, end
        Of its tokens.
    concepts
        What it says, for CONCEPT.
    value, unit
        Of a NUMBER, in the unit in which statements hold it; unit '' where none is written, None for one that is not known.
    factor
        By which the written number was multiplied for that.
    sign
        1, -1 or 0 where no sign is written.
    spelt
        Whether a NUMBER is written as a word.
    day
        Of a DATE; None where day and month could be either.
    """

    sort: Sort
    text: str
    start: int
    end: int
    concepts: Words = ()
    value: Decimal | None = None
    unit: str | None = ""
    factor: Decimal = Decimal(1)
    sign: int = 0
    spelt: bool = False
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A sentence, read.

    Attributes
    ----------
    text
        Without quoted words and dates.
    lost
        Names of arguments whose quoted words are not in it exactly once.
    """

    text: str
    tokens: tuple[Token, ...]
    items: tuple[Item, ...]
    lost: tuple[str, ...]

    def concepts(self) -> list[str]:
        """All concepts, in order."""
        return [concept for item in self.items for concept in item.concepts]


def read(text: str, statement: Statement, lexicon: Lexicon, own: frozenset[str] = frozenset()) -> Reading:
    """What each part of a sentence says.

    Parameters
    ----------
    own
        Words that count as known although the lexicon lacks them: those of our own sentence.
    """
    text, lost = _without_quotes(clean(text), statement)
    text, days = _without_dates(fold(text, lexicon.folds), lexicon)
    tokens = tokenise(text)
    items = tuple(_Reader(tokens, lexicon, own, days).items())
    return Reading(text, tokens, _with_shared_units(items, lexicon), lost)


def outside_quotes(text: str, statement: Statement) -> str:
    """`text` as it is written, less the quoted words: those may hold line breaks and whatever else a note has."""
    text = unicodedata.normalize("NFC", text)
    for argument in statement.arguments.values():
        if isinstance(argument, Verbatim) and argument.text.strip():
            words = re.split(r"(\s+)", unicodedata.normalize("NFC", argument.text).strip())
            pattern = "".join(r"\s+" if w.isspace() and w != " " else re.escape(w) for w in words)
            text = re.sub(pattern, " ", text)
    return text or " "


def _without_quotes(text: str, statement: Statement) -> tuple[str, tuple[str, ...]]:
    """Quoted words replaced by one character each, and the names of those that are not there once."""
    lost = []
    arguments = [(name, clean(a.text)) for name, a in statement.arguments.items() if isinstance(a, Verbatim) and a.text.strip()]
    for number, (name, words) in enumerate(sorted(arguments, key=lambda pair: -len(pair[1]))):
        # an apostrophe of the language may follow a name, another letter or digit may not: "Lesion 1" is not in "Lesion 10"
        pattern = re.compile(rf"(?<![\w]){re.escape(words)}(?![\w])" if words[-1].isalnum() else re.escape(words))
        if len(pattern.findall(text)) != 1:
            lost.append(name)
        text = pattern.sub(chr(FIRST_PLACE + number), text, count=1)
    return text, tuple(lost)


def _without_dates(text: str, lexicon: Lexicon) -> tuple[str, tuple[date | None, ...]]:
    """Dates replaced by one character each; None for 03/04/2024, which is two dates."""
    days: list[date | None] = []

    def cut(match: re.Match[str]) -> str:
        known, day = _day(match, lexicon)
        if not known:
            return match[0]
        days.append(day)
        return f" {chr(min(FIRST_PLACE + _FIRST_DATE + len(days) - 1, LAST_PLACE))} "

    months = "|".join(sorted(map(re.escape, lexicon.months), key=len, reverse=True))
    pattern = (
        rf"(?<![\d.,])(?:(?P<y1>\d{{4}})(?P<s1>[-/.])(?P<m1>\d{{1,2}})(?P=s1)(?P<d1>\d{{1,2}})"
        rf"|(?P<d2>\d{{1,2}})(?P<s2>[-/.])(?P<m2>\d{{1,2}})(?P=s2)(?P<y2>\d{{4}})"
        rf"|(?P<d3>\d{{1,2}})(?: of)?[ -](?P<m3>{months})\.?,?[ -](?P<y3>\d{{4}})"
        rf"|(?<!\w)(?P<m4>{months})\.? (?P<d4>\d{{1,2}}),? (?P<y4>\d{{4}})"
        rf"|(?P<y5>\d{{4}})[ -](?P<m5>{months})[ -](?P<d5>\d{{1,2}}))(?!\d)"
    )
    return re.sub(pattern, cut, text, flags=re.IGNORECASE), tuple(days)


def _day(match: re.Match[str], lexicon: Lexicon) -> tuple[bool, date | None]:
    """Whether it is a date at all, and which."""
    number = next(n for n in "12345" if match[f"y{n}"])
    month_text = match[f"m{number}"].casefold()
    year, month, day = int(match[f"y{number}"]), lexicon.months.get(month_text) or int(month_text), int(match[f"d{number}"])
    try:
        found = date(year, month, day)
    except ValueError:
        return False, None
    two_ways = number == "2" and match["s2"] != "." and day <= 12 and day != month
    return True, None if two_ways else found


@dataclass(frozen=True, slots=True)
class _Reader:
    tokens: tuple[Token, ...]
    lexicon: Lexicon
    own: frozenset[str]
    days: tuple[date | None, ...]

    def items(self) -> Iterator[Item]:
        at = 0
        while at < len(self.tokens):
            item = self._placed(at) or self._longest(at) or self._single(at)
            yield item
            at = item.end

    def _placed(self, at: int) -> Item | None:
        place = self.tokens[at].place
        if place is None:
            return None
        if place < _FIRST_DATE:
            return Item(Sort.QUOTE, str(place), at, at + 1)
        return Item(Sort.DATE, "", at, at + 1, day=self.days[min(place - _FIRST_DATE, len(self.days) - 1)])

    def _longest(self, at: int) -> Item | None:
        phrase, number = self._phrase(at), self._number(at)
        if phrase and number and number.end > phrase.end:
            return number
        return phrase or number

    def _phrase(self, at: int) -> Item | None:
        words = tuple(t.text for t in self.tokens[at : at + _MAX_PHRASE])
        for length in range(len(words), 0, -1):
            concepts = self.lexicon.phrases.get(words[:length])
            if concepts is not None:
                sort = Sort.CONCEPT if concepts else Sort.NEUTRAL
                return Item(sort, " ".join(words[:length]), at, at + length, concepts)
        return None

    def _number(self, at: int) -> Item | None:
        token = self.tokens[at]
        if token.is_number:
            return self._with_unit(Item(Sort.NUMBER, token.raw, at, at + 1, value=token.value, sign=token.sign))
        found = self._spelt(at)
        if found is None:
            return None
        value, end = found
        words = " ".join(t.text for t in self.tokens[at:end])
        return self._with_unit(Item(Sort.NUMBER, words, at, end, value=value, spelt=True))

    def _spelt(self, at: int) -> tuple[Decimal, int] | None:
        """A number in words, "forty-five point two" too."""
        for length in (3, 2, 1):
            words = tuple(t.text for t in self.tokens[at : at + length])
            if words in self.lexicon.numbers:
                break
        else:
            return None
        value, end, digits = self.lexicon.numbers[words], at + length, ""
        if end < len(self.tokens) and self.tokens[end].text in self.lexicon.point:
            while end + 1 + len(digits) < len(self.tokens):
                digit = self.lexicon.numbers.get((self.tokens[end + 1 + len(digits)].text,))
                if digit is None or digit > 9:
                    break
                digits += str(digit)
        return (Decimal(f"{value}.{digits}"), end + 1 + len(digits)) if digits else (value, end)

    def _with_unit(self, item: Item) -> Item:
        raw = tuple(t.raw for t in self.tokens[item.end : item.end + 3])
        for length in (3, 2, 1):
            unit = self.lexicon.units.get(raw[:length]) if length <= len(raw) else None
            if unit is not None:
                words = f"{item.text} {' '.join(raw[:length])}"
                return _scaled(replace(item, text=words, end=item.end + length), unit)
        if raw and raw[0].casefold() in self.lexicon.other_units:
            return replace(item, text=f"{item.text} {raw[0]}", end=item.end + 1, unit=None)
        for length in (1, 2):
            before = tuple(t.text for t in self.tokens[max(item.start - length, 0) : item.start])
            if before in self.lexicon.implied_units:
                return replace(item, unit=self.lexicon.implied_units[before])
        return item

    def _single(self, at: int) -> Item:
        token = self.tokens[at]
        if not token.is_word:
            return Item(Sort.MARK, token.text, at, at + 1)
        if token.text in self.own:
            return Item(Sort.CONCEPT, token.text, at, at + 1, (f"word:{token.text}",))
        return Item(Sort.UNKNOWN, token.raw, at, at + 1)


def _scaled(item: Item, unit: Unit) -> Item:
    return replace(item, unit=unit.base, factor=unit.factor, value=None if item.value is None else item.value * unit.factor)


def _with_shared_units(items: tuple[Item, ...], lexicon: Lexicon) -> tuple[Item, ...]:
    """Numbers without a unit get that of the next one: "from 1.0 to 22.3 mL", "52 by 40 mm"."""
    found = list(items)
    for at in range(len(found) - 3, -1, -1):
        first, middle, second = found[at], found[at + 1], found[at + 2]
        both = first.sort is second.sort is Sort.NUMBER
        if both and middle.text in lexicon.connectors and first.unit == "" and second.unit in ("mL", "mm", "percent"):
            found[at] = _scaled(first, Unit(second.unit, second.factor))
        elif middle.concepts == ("or",) and second.sort is Sort.NUMBER and (first.sort is Sort.NUMBER or first.text == ")"):
            # "14.8 mL or 49%" says one thing twice: all numbers have to be said anyway, so none can be an alternative
            found[at + 1] = replace(middle, sort=Sort.NEUTRAL, concepts=())
    return tuple(found)
