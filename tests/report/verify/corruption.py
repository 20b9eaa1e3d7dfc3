"""Corrupts sentences by rule: every result says something else than its statement, so every one must be refused."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from braintumor.report.language import Language, render_statement
from braintumor.report.statements import Quantity, Statement, Term, Verbatim

Corrupted = Iterator[tuple[str, str]]
"""What was done, and the sentence."""

_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w])")


@dataclass(frozen=True)
class Words:
    """What the rules know of a language."""

    flips: tuple[tuple[str, str], ...]
    units: Mapping[str, tuple[str, ...]]
    negations: tuple[tuple[str, str], ...]
    insertions: tuple[tuple[str, str], ...]
    order: tuple[tuple[str, str], ...]
    hedges: tuple[str, ...]
    prefixes: tuple[str, ...]
    clauses: tuple[str, ...]
    stop: str


def _words_of(data: Mapping[str, Any]) -> Words:
    pairs = {name: tuple((old, new) for old, new in data[name]) for name in ("flips", "negations", "insertions", "order")}
    lists = {name: tuple(data[name]) for name in ("hedges", "prefixes", "clauses")}
    return Words(units=data["units"], stop=data["stop"], **pairs, **lists)


WORDS = {code: _words_of(data) for code, data in tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8")).items()}


def corrupt(text: str, statement: Statement, code: str) -> Corrupted:
    """Every way in which the rules can corrupt a sentence that says its statement. `text` itself is never among them."""
    rules: tuple[Callable[[str, Statement, str], Corrupted], ...] = (
        _numbers,
        _swapped,
        _units,
        _terms,
        _dates,
        _words,
        _added,
        _left_out,
        _verbatim,
        _form,
        _language,
    )
    seen = {text}
    for rule in rules:
        for sort, corrupted in rule(text, statement, code):
            if corrupted not in seen:
                seen.add(corrupted)
                yield sort, corrupted


def said_numbers(text: str, statement: Statement, code: str) -> list[re.Match[str]]:
    """Numbers of a sentence that are no part of quoted words."""
    quoted = [a.text for a in statement.arguments.values() if isinstance(a, Verbatim)]
    spans = [(m.start(), m.end()) for q in quoted for m in re.finditer(re.escape(q), text)]
    free = (m for m in _NUMBER.finditer(text) if not any(a <= m.start() < b for a, b in spans))
    return [m for m in free if not text[: m.start()].endswith("RANO ")]


def _numbers(text: str, statement: Statement, code: str) -> Corrupted:
    for match in said_numbers(text, statement, code):
        number = match[0]

        def put(other: str, match: re.Match[str] = match) -> str:
            return text[: match.start()] + other + text[match.end() :]

        for at, digit in enumerate(number):
            if digit.isdigit():
                yield "digit changed", put(number[:at] + str((int(digit) + 3) % 10) + number[at + 1 :])
        for at in range(len(number) - 1):
            a, b = number[at : at + 2]
            if a.isdigit() and b.isdigit() and a != b:
                yield "digits transposed", put(number[:at] + b + a + number[at + 2 :])
        nothing = not number.strip("0.,")
        if number.count(".") == 1 and not nothing:
            whole, _, rest = number.replace(",", "").partition(".")
            yield "decimal point moved", put(f"{whole}{rest}")
            yield "decimal point moved", put(f"{whole[:-1] or '0'}.{whole[-1]}{rest}")
        yield "digit added", put(f"{number}7")
        if text[: match.start()].endswith(" ") and not nothing:
            yield "minus added", put(f"\u2212{number}")


def _swapped(text: str, statement: Statement, code: str) -> Corrupted:
    """Two numbers change places."""
    for a, b in itertools.combinations(said_numbers(text, statement, code), 2):
        if a[0] != b[0] and not (_is_date(statement, a[0], text) or _is_date(statement, b[0], text)):
            yield "numbers swapped", text[: a.start()] + b[0] + text[a.end() : b.start()] + a[0] + text[b.end() :]


def _is_date(statement: Statement, number: str, text: str) -> bool:
    days = [a for a in statement.arguments.values() if isinstance(a, date)]
    digits = "".join(str(int(c)) for c in number if c.isdigit())
    return any(digits in (str(d.day), str(d.year), f"{d.day:02}", f"{d.month:02}") for d in days)


def _units(text: str, statement: Statement, code: str) -> Corrupted:
    for unit, others in WORDS[code].units.items():
        for match in re.finditer(rf"(?<=\d)([ \u00a0]?){re.escape(unit)}(?![\w²\u0900-\u097f])", text):
            for other in others if not re.search(r"\b0\.0$", text[: match.start()]) else ():  # nothing is nothing in every unit
                yield "unit changed", text[: match.start()] + match[1] + other + text[match.end() :]
            # one unit for two numbers is fine
            if not re.match(r" (to|by|x|and|से|गुणा) \d|[ ]?[x\u00d7]", text[match.end() :]):
                yield "unit left out", text[: match.start()] + text[match.end() :]


def _terms(text: str, statement: Statement, code: str) -> Corrupted:
    language = Language(code)
    glossary = language.glossary
    for argument in statement.arguments.values():
        terms = (argument,) if isinstance(argument, Term) else argument if isinstance(argument, tuple) else ()
        for term in terms:
            said = language.term(term)
            others = [o for o in glossary if o.kind == term.kind and o not in terms and o != term and _differs(o, term)]
            for other in others:
                for found in (said, said[:1].upper() + said[1:]):
                    if found in text:
                        yield f"{term.kind} changed", _replaced(text, found, glossary[other])
            if len(terms) > 1:
                pattern = rf"(, | and |, and | और |, और )?{re.escape(said)}(?![\w])(, )?"
                yield "sequence left out", re.sub(pattern, " ", text, count=1)
        if isinstance(argument, tuple) and argument[0].kind == "sequence":
            listed = language.listed(language.term(t) for t in argument)
            known = {*argument, *(a for a in statement.arguments.values() if isinstance(a, Term))}
            missing = [t for t in glossary if t.kind == "sequence" and t not in known]
            for extra in missing:
                more = language.listed([*(language.term(t) for t in argument), glossary[extra]])
                yield "sequence added", text.replace(listed, more)


def _differs(other: Term, term: Term) -> bool:
    return (term.kind, term.key, other.key) != ("side", "unknown", "both")


def _replaced(text: str, old: str, new: str) -> str:
    return re.sub(rf"{re.escape(old)}(?![\w\u0900-\u097f])", new, text, count=1)


def _dates(text: str, statement: Statement, code: str) -> Corrupted:
    language = Language(code)
    for argument in statement.arguments.values():
        if isinstance(argument, date):
            said = language.date(argument)
            others = [argument + timedelta(days=n) for n in (1, -1, 10, 31, 365, -366)]
            if argument.day <= 12 and argument.day != argument.month:
                others.append(argument.replace(month=argument.day, day=argument.month))
            for other in others:
                yield "date changed", text.replace(said, language.date(other))
                yield "date changed", text.replace(said, other.isoformat())
            yield "date of two readings", text.replace(said, "03/04/2024")
            yield "date left out", text.replace(said, "")


def _words(text: str, statement: Statement, code: str) -> Corrupted:
    words = WORDS[code]
    edge = r"(?![\w\u0900-\u097f])"
    for sort, pairs in (("direction flipped", words.flips), ("negation dropped", words.negations)):
        for old, new in pairs:
            if re.search(re.escape(old) + (edge if old[-1] != " " else ""), text):
                yield sort, re.sub(re.escape(old) + (edge if old[-1] != " " else ""), new, text, count=1)
    for old, new in words.insertions:
        if re.search(re.escape(old) + (edge if old[-1] != " " else ""), text):
            yield "negation inserted", re.sub(re.escape(old) + (edge if old[-1] != " " else ""), new, text, count=1)
    named = (statement.arguments.get(name) for name in ("before", "now", "volume", "simpson"))
    values = {round(argument.value, 1) for argument in named if isinstance(argument, Quantity)}
    for one, other in words.order:
        if one in text and (len(values) > 1 or statement.message == "prior"):
            swapped = text.replace(one, "\0").replace(other, one).replace("\0", other)
            yield "order words swapped", swapped


def _added(text: str, statement: Statement, code: str) -> Corrupted:
    words, stop = WORDS[code], WORDS[code].stop
    body = text.rstrip(f"{stop} ")
    for clause in words.clauses:
        yield "invented", f"{body}{clause}{stop}"
    for prefix in words.prefixes:
        yield "prompt residue", f"{prefix}{text}"
    for hedge in words.hedges:
        spaces = [m.start() + 1 for m in re.finditer(" ", text)]
        for at in spaces[: len(spaces) // 2 + 1 : 2]:
            if not _inside_verbatim(text, at, statement):
                yield "certainty changed", text[:at] + hedge + text[at:]


def _inside_verbatim(text: str, at: int, statement: Statement) -> bool:
    quoted = [a.text for a in statement.arguments.values() if isinstance(a, Verbatim)]
    return any(m.start() < at < m.end() for q in quoted for m in re.finditer(re.escape(q), text))


def _left_out(text: str, statement: Statement, code: str) -> Corrupted:
    language = Language(code)
    for name, argument in statement.arguments.items():
        if isinstance(argument, Quantity | Term):
            said = language.quantity(argument) if isinstance(argument, Quantity) else language.term(argument)
            for found in (said, said[:1].upper() + said[1:]):
                if text.count(found) == 1:
                    yield f"left out: {'number' if isinstance(argument, Quantity) else argument.kind}", text.replace(found, "")
        elif name == "slice":
            yield "left out: number", text.replace(language.number(argument), "", 1) if isinstance(argument, int) else text


def _verbatim(text: str, statement: Statement, code: str) -> Corrupted:
    for argument in statement.arguments.values():
        if isinstance(argument, Verbatim) and text.count(argument.text) == 1:
            words = argument.text
            yield "quote changed", text.replace(words, words + "x")
            yield "quote changed", text.replace(words, words[:-1])
            yield "quote changed", text.replace(words, " ".join(words.split()[1:]) or "?")
            yield "quote changed", text.replace(words, words.upper() if words.upper() != words else words.lower())
            for match in re.finditer(r"\d", words):
                changed = words[: match.start()] + str((int(match[0]) + 1) % 10) + words[match.end() :]
                yield "quote changed", text.replace(words, changed)


def _form(text: str, statement: Statement, code: str) -> Corrupted:
    yield "markup", f"**{text}**"
    yield "markup", f"- {text}"
    yield "markup", f"1. {text}"
    yield "markup", f"<b>{text}</b>"
    yield "markup", f"[{text}](http://example.org)"
    yield "line break", text.replace(" ", "\n", 1)
    yield "said twice", f"{text} {text} {text}"
    yield "invisible character", text[:2] + "\u200b" + text[2:]
    yield "empty", " "


def _language(text: str, statement: Statement, code: str) -> Corrupted:
    other = render_statement(statement, "hi" if code == "en" else "en")
    yield "wrong language", other
    yield "wrong language", f"{text} {other}"
    if any(isinstance(a, Quantity) for a in statement.arguments.values()):
        more = {n: replace(a, value=a.value + 11.3) if isinstance(a, Quantity) else a for n, a in statement.arguments.items()}
        if (different := render_statement(replace(statement, arguments=more), code)) != render_statement(statement, code):
            yield "another statement", different
