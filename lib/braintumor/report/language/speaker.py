"""Fills the messages of a language with the arguments of statements (Project Fluent, Babel for numbers, units and dates)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from babel import Locale
from babel.dates import format_date
from babel.lists import format_list
from babel.numbers import format_decimal
from babel.units import format_unit
from fluent.runtime import FluentBundle, FluentResource

from braintumor.domain import Findings, Line, Origin, ReportText, Section, UnknownLanguageError
from braintumor.report.statements import Argument, Quantity, Statement, Term, Verbatim, state

FOLDER = Path(__file__).parent
_CLDR = {
    "mL": "volume-milliliter",
    "mm": "length-millimeter",
    "day": "duration-day",
    "year": "duration-year",
    "degree": "angle-degree",
    "percent": "concentr-percent",
}
"""Our units -> CLDR's. mm2 is not in CLDR; its pattern stands in the language's file."""


class Language:
    """One language: a file of messages in this folder, named by its BCP 47 code.

    A language is added by adding its file. The message ``cldr-locale`` names the locale of numbers and dates, ``unit-locale``
    and ``unit-length`` CLDR's locale and width of units; the other messages are those of ``en.ftl``.
    """

    def __init__(self, code: str) -> None:
        """Read the language's file.

        Raises
        ------
        UnknownLanguageError
            If there is no such language.
        """
        if code not in languages():
            known = ", ".join(languages())
            raise UnknownLanguageError(f"The report does not exist in the language '{code}'", remedy=f"Choose one of {known}")
        self.code = code
        self._bundle = FluentBundle([code], use_isolating=False)
        self._bundle.add_resource(FluentResource((FOLDER / f"{code}.ftl").read_text("utf-8")))
        self.locale = Locale.parse(self.words("cldr-locale"))

    def words(self, message: str, **arguments: str | float) -> str:
        """A message with ready-made arguments; for headings and captions.

        Raises
        ------
        KeyError
            If the language lacks the message or an argument is missing: a programmer's mistake, never shown to a user.
        """
        name, _, attribute = message.partition(".")
        found = self._bundle.get_message(name)
        pattern = found.attributes.get(attribute) if attribute else found.value
        if pattern is None:
            raise KeyError(f"{self.code}.ftl has no message '{message}'")
        text, errors = self._bundle.format_pattern(pattern, dict(arguments))
        if errors:
            raise KeyError(f"{self.code}.ftl, message '{message}': {errors[0]}")
        return str(text)

    def has(self, message: str) -> bool:
        """Whether the language has this message."""
        return bool(self._bundle.has_message(message))

    def title(self, section: Section) -> str:
        """Heading of a section."""
        return self.words(f"section-{section.value}")

    def term(self, term: Term) -> str:
        """A word of the glossary."""
        return self.words(f"{term.kind}-{term.key}")

    def number(self, value: float, digits: int = 0, *, signed: bool = False) -> str:
        """A number with `digits` decimals; what rounds to zero has no sign."""
        rounded = round(value, digits) or 0.0
        text = format_decimal(abs(rounded), "#,##0" + ("." + "0" * digits if digits else ""), locale=self.locale)
        sign = "\u2212" if rounded < 0 else "+" if signed and rounded > 0 else ""
        return sign + str(text)

    def quantity(self, quantity: Quantity) -> str:
        """A number with its unit, joined by a no-break space."""
        number = self.number(quantity.value, quantity.digits, signed=quantity.signed)
        return self.with_unit(number, quantity.unit, quantity.value)

    def with_unit(self, number: str, unit: str, value: float = 2.0) -> str:
        """A formatted number, or several such as '30.1 x 22.4', with a unit in the form that `value` asks for."""
        if self.has(f"unit-{unit}"):
            return self.words(f"unit-{unit}", number=number, value=value)
        return self._unit_pattern(unit, value).replace("{0}", number)

    def _unit_pattern(self, unit: str, value: float) -> str:
        width: Literal["short", "narrow"] = "narrow" if self.words("unit-length") == "narrow" else "short"
        text = format_unit(value, _CLDR[unit], width, format="'{0}'", locale=self.words("unit-locale"))
        return str(text).replace(" ", "\u00a0")

    def date(self, value: date) -> str:
        """A date in full, with the month in words so that nobody mixes up day and month."""
        return str(format_date(value, "d MMMM y", locale=self.locale))

    def listed(self, words: Iterable[str]) -> str:
        """An enumeration."""
        return str(format_list(list(words), locale=self.words("cldr-locale")))

    @cached_property
    def glossary(self) -> dict[Term, str]:
        """All terms of the language."""
        kinds = ("region", "side", "lobe", "sequence", "sex", "topic", "response", "input")
        resource = FluentResource((FOLDER / f"{self.code}.ftl").read_text("utf-8"))
        names = [entry.id.name for entry in resource.body if hasattr(entry, "id")]
        found = [name.partition("-") for name in names if name.partition("-")[0] in kinds]
        return {Term(kind, key): self.words(f"{kind}-{key}") for kind, _, key in found}

    def _arguments(self, name: str, value: Argument) -> dict[str, Any]:
        match value:
            case Quantity():
                return {name: self.quantity(value)}
            case Term():
                gender = f"{value.kind}-{value.key}.gender"
                known = self._bundle.get_message(f"{value.kind}-{value.key}").attributes
                return {
                    name: self.term(value),
                    f"{name}-key": value.key,
                    **({f"{name}-gender": self.words(gender)} if "gender" in known else {}),
                }
            case Verbatim():
                return {name: value.text}
            case date():
                return {name: self.date(value)}
            case tuple():
                return {name: self.listed(self.term(term) for term in value)}
            case _:
                return {name: value, f"{name}-text": self.number(value)}

    def speak(self, statement: Statement) -> str:
        """The statement as one sentence."""
        arguments: dict[str, Any] = {}
        for name, value in statement.arguments.items():
            arguments |= self._arguments(name, value)
        text = self.words(statement.message, **arguments)
        return text[:1].upper() + text[1:]


@cache
def languages() -> tuple[str, ...]:
    """Codes of all languages there are, English first."""
    return tuple(sorted((path.stem for path in FOLDER.glob("*.ftl")), key=lambda code: (code != "en", code)))


@cache
def language_of(code: str) -> Language:
    """The language of a code; its file is read once in a process.

    Raises
    ------
    UnknownLanguageError
        If there is no such language.
    """
    return Language(code)


def render_statement(statement: Statement, code: str) -> str:
    """A statement as a sentence of the language."""
    return language_of(code).speak(statement)


def write_text(findings: Findings, code: str) -> ReportText:
    """The whole deterministic text in one language; every section is there, also an empty one."""
    statements, language = state(findings), language_of(code)
    sections = {
        section: tuple(
            Line(language.speak(s), s.source, s.message, Origin.TEMPLATE) for s in statements if s.section is section
        )
        for section in Section
    }
    return ReportText(code, sections)
