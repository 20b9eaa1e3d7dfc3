"""Which number of a sentence is which argument of its statement."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from braintumor.report.statements import Quantity, Statement
from braintumor.report.verify.problems import Kind, Problem
from braintumor.report.verify.reading import Item, Reading, Sort

_SIGNED = {"ml", "percent"}
"""Arguments that hold the size of a change, so that a sign may say its direction."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A number that has to be said; `role` is the name of its argument, '' for a number of the template itself."""

    role: str
    value: Decimal
    unit: str
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Roles:
    """One way to read a sentence: index of an item -> name of the argument that it is."""

    of: Mapping[int, str]


def slots(statement: Statement, ours: Reading) -> tuple[Slot, ...]:
    """The numbers of a statement. Those that our own sentence does not say may be said; a count of one need not be."""
    said = [(item.value, item.unit) for item in ours.items if item.sort is Sort.NUMBER]
    found = []
    for name, argument in statement.arguments.items():
        slot = _slot(name, argument)
        if slot is None:
            continue
        in_ours = (slot.value, slot.unit) in said
        if in_ours:
            said.remove((slot.value, slot.unit))
        # a count of one is said by the singular, and that of a list by the list
        implied = name == "count" and (slot.value == 1 or "sequences" in statement.arguments)
        found.append(Slot(slot.role, slot.value, slot.unit, in_ours and not implied))
    return (*found, *(Slot("", value, unit or "") for value, unit in said if value is not None and value != 1))


def numbers(theirs: Reading, wanted: tuple[Slot, ...]) -> tuple[tuple[Problem, ...], tuple[Roles, ...]]:
    """What is wrong with the numbers of a sentence, and every way in which they can be the statement's."""
    open_slots = list(wanted)
    groups: dict[tuple[Decimal, str], list[int]] = defaultdict(list)
    extra = []
    counted = any(slot.role == "count" and slot.value != 1 for slot in wanted)
    for index, item in enumerate(theirs.items):
        if item.sort is not Sort.NUMBER:
            continue
        before = theirs.items[index - 1].text if index else ""
        slot = next((s for s in open_slots if _same(item, s, before)), None)
        if slot is None:
            extra.append(item)
        else:
            open_slots.remove(slot)
            groups[slot.value, slot.unit].append(index)
    missing = [slot for slot in open_slots if slot.needed]
    # "one" and Hindi's word for it are also articles, unless things are counted; written as a digit it is a number
    extra = [item for item in extra if counted or not (item.spelt and item.value == 1 and item.unit == "")]
    problems = [_unexpected(item, missing) for item in extra]
    problems += [Problem(Kind.OMITTED, f"{_said(slot)} is missing") for slot in missing]
    return tuple(problems), () if problems else tuple(_assignments(groups, wanted))


def dates(theirs: Reading, statement: Statement) -> tuple[Problem, ...]:
    """Dates have to be the statement's."""
    wanted = {a for a in statement.arguments.values() if isinstance(a, date)}
    said = [item.day for item in theirs.items if item.sort is Sort.DATE]
    problems = []
    if None in said:
        problems.append(Problem(Kind.DATE, "a date can be read in two ways: day first or month first"))
    problems += [Problem(Kind.DATE, f"{day} is not the statement's date") for day in said if day and day not in wanted]
    problems += [Problem(Kind.DATE, f"the date {day} is missing") for day in wanted if day not in said]
    return tuple(problems)


def _slot(name: str, argument: object) -> Slot | None:
    if isinstance(argument, Quantity):
        # rounded as the speaker does: by Python's round of the float, not of its decimal text
        rounded = Decimal(f"{abs(round(argument.value, argument.digits)):.{argument.digits}f}")
        return Slot(name, rounded.quantize(Decimal(1).scaleb(-argument.digits), ROUND_HALF_EVEN), argument.unit)
    if isinstance(argument, int):
        return Slot(name, Decimal(argument), "")
    return None


def _same(item: Item, slot: Slot, before: str) -> bool:
    """A sign is only for the size of a change, in brackets or after a comma: "shrunk by -4.5 mL" is no shrinkage."""
    if item.value != slot.value or item.unit != slot.unit:
        return False
    return item.sign == 0 or (slot.role in _SIGNED and before in ("(", ","))


def _unexpected(item: Item, missing: list[Slot]) -> Problem:
    written = None if item.value is None else item.value / item.factor
    if item.unit is None or any(written == s.value for s in missing):
        return Problem(Kind.UNIT, f"'{item.text}' has another unit than the statement")
    return Problem(Kind.NUMBER, f"'{item.text}' is not a number of the statement")


def _said(slot: Slot) -> str:
    return f"the number {slot.value}{f' {slot.unit}' if slot.unit else ''}"


def _assignments(groups: Mapping[tuple[Decimal, str], list[int]], wanted: tuple[Slot, ...]) -> Iterator[Roles]:
    """Numbers that are equal may be any of the arguments that are equal."""
    choices = []
    for (value, unit), indices in groups.items():
        names = [s.role for s in wanted if s.value == value and s.unit == unit]
        choices.append([tuple(zip(indices, order, strict=True)) for order in itertools.permutations(names, len(indices))])
    for combination in itertools.product(*choices):
        yield Roles(dict(pair for pairs in combination for pair in pairs))
