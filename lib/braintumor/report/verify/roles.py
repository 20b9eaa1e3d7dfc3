"""Whether words and numbers belong together as the statement says: before and now, one measure or another, what moved where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from braintumor.report.statements import Quantity, Statement, Term
from braintumor.report.verify.figures import Roles
from braintumor.report.verify.lexicon import Cue, Lexicon
from braintumor.report.verify.problems import Kind, Problem
from braintumor.report.verify.reading import Item, Reading, Sort

PAIRS: tuple[dict[str, str], ...] = (
    {"volume": "voxel", "simpson": "simpson"},
    {"longest": "longest", "perpendicular": "perpendicular"},
    {"wt": "region:WT", "et": "region:ET"},
    {"shift": "shift", "turn": "turn"},
)
"""Arguments that stand beside each other -> the concept that names each."""

_TIMES = ("before", "now", "ml")
_SOFT = {"volume", "now", "since", "diameter", "this-study", "study", "earlier"}
_OPEN_MARKS = {"(", ")", ":"}
_REACH = 7


@dataclass(frozen=True, slots=True)
class _Hit:
    """A cue in a sentence: items `first`..`last`, and what it can stand beside: index of an item -> its role."""

    cue: Cue
    first: int
    last: int
    found: Mapping[int, str]

    @property
    def right(self) -> bool:
        """Whether one of them is what the cue says."""
        return any(role in self.cue.roles for role in self.found.values())


def check_roles(theirs: Reading, readings: Sequence[Roles], statement: Statement, lexicon: Lexicon) -> tuple[Problem, ...]:
    """What is wrong in the best of all ways to read a sentence."""
    answers = [tuple(_problems(theirs, roles, statement, lexicon)) for roles in readings]
    return min(answers, key=len, default=())


def _problems(theirs: Reading, roles: Roles, statement: Statement, lexicon: Lexicon) -> Iterator[Problem]:
    for pair in PAIRS:
        if set(pair) <= set(statement.arguments):
            yield from _pair(theirs, roles, pair, statement)
    if "before" in statement.arguments or "now" in statement.arguments or "date" in statement.arguments:
        yield from _times(theirs, roles, statement, lexicon)
    if "reference" in statement.arguments:
        yield from _references(theirs, statement, lexicon)


def _pair(theirs: Reading, roles: Roles, pair: dict[str, str], statement: Statement) -> Iterator[Problem]:
    """The first number belongs to the first name and the second to the second, as in "X by A and Y by B" and "A: X, B: Y"."""
    said = [roles.of[i] for i in sorted(roles.of) if roles.of[i] in pair]
    names = {concept: role for role, concept in pair.items()}
    named = _without_repeats([names[c] for c in theirs.concepts() if c in names])
    if len(set(named)) < len(pair):
        named = [role for role in statement.arguments if role in pair]
    if said != named:
        yield Problem(Kind.ORDER, f"the numbers for {' and '.join(pair)} are not said in the order of their names")


def _times(theirs: Reading, roles: Roles, statement: Statement, lexicon: Lexicon) -> Iterator[Problem]:
    # a date is that of the study before; nothing of the statement is at the role "visit", so what names it is always wrong
    date = {"visit"} if "date" in statement.arguments else set()
    wanted = frozenset({"before", "now", *date, *({"ml", "percent"} & set(statement.arguments))})
    bearers = {i: role for i, role in roles.of.items() if role in wanted}
    bearers |= {i: "before" for i, item in enumerate(theirs.items) if item.sort is Sort.DATE}
    hits = _hits(theirs, bearers.get, wanted, lexicon)
    for hit in hits:
        words = " ".join(item.text for item in theirs.items[hit.first : hit.last + 1])
        if hit.found and not hit.right:
            yield Problem(Kind.ORDER, f"'{words}' stands beside the wrong number")
        if not hit.found and hit.cue.binds == "near" and "before" in hit.cue.roles and "direction" in _beside(theirs, hit):
            yield Problem(Kind.ORDER, f"'{words}' makes it unclear which visit is meant")
    volumes = [i for i in sorted(roles.of) if roles.of[i] in _TIMES]
    if volumes and roles.of[volumes[0]] != "ml" and roles.of.get(volumes[0] + 2) == "percent":
        yield Problem(Kind.ORDER, "the percentage stands behind a volume as if that were the change")
    clear = {role for hit in hits if hit.right for role in _clear(theirs, hit, bearers)}
    clear |= {role for i, role in roles.of.items() if theirs.items[i].sign}
    said = {n: a for n, a in statement.arguments.items() if n in _TIMES and n in roles.of.values()}
    spoken = {n: a for n, a in said.items() if isinstance(a, Quantity)}
    different = {round(a.value, a.digits) for a in spoken.values()}
    if "now" in spoken and "before" in spoken and len(clear & set(_TIMES)) < len(different) - 1:
        yield Problem(Kind.ORDER, "it is not clear which number was before and which is now")


def _clear(theirs: Reading, hit: _Hit, bearers: Mapping[int, str]) -> Iterator[str]:
    """Roles that a cue settles: of the one thing beside it, and of the number before a percentage in brackets."""
    if len(hit.found) > 1 or len(hit.cue.roles & set(_TIMES)) > 1:
        return
    ((index, role),) = hit.found.items()
    yield role
    if role == "percent" and theirs.items[index - 1].text == "(" and index > 1:
        yield bearers.get(index - 2, role)


def _references(theirs: Reading, statement: Statement, lexicon: Lexicon) -> Iterator[Problem]:
    reference, others = statement.arguments["reference"], statement.arguments.get("sequences", ())
    if not isinstance(reference, Term) or (isinstance(others, tuple) and reference in others):
        return  # brought to itself: any order says the same
    wanted = frozenset({"reference", "sequence", "sequences"})

    def bears(index: int) -> str | None:
        names = [c for c in theirs.items[index].concepts if c.startswith("sequence:")]
        if not names:
            return None
        return "reference" if names[0] == f"sequence:{reference.key}" else "sequence"

    hits = _hits(theirs, bears, wanted, lexicon)
    if any(hit.found and not hit.right for hit in hits):
        yield Problem(Kind.ORDER, "another sequence is named as the one that the others were brought to")
    elif not any(hit.right and "reference" in hit.cue.roles for hit in hits):
        yield Problem(Kind.ORDER, "it is not clear which sequence the others were brought to")


def _hits(theirs: Reading, bears: Callable[[int], str | None], roles: frozenset[str], lexicon: Lexicon) -> list[_Hit]:
    """All cues for these roles with what they stand beside."""
    places = _cue_places(theirs, roles, lexicon)
    covered = {i: cue.roles for first, last, cue in places for i in range(first, last + 1)}
    stops = lexicon.barriers
    return [_Hit(cue, a, b, dict(_found(theirs, (a, b), cue, bears, covered, stops))) for a, b, cue in places]


def _cue_places(theirs: Reading, roles: frozenset[str], lexicon: Lexicon) -> list[tuple[int, int, Cue]]:
    """Longest cues first; those inside a phrase that is read as one are none ("since the previous study")."""
    starts = {item.start: i for i, item in enumerate(theirs.items)}
    ends = {item.end: i for i, item in enumerate(theirs.items)}
    words = tuple(t.text for t in theirs.tokens)
    places: list[tuple[int, int, Cue]] = []
    at = 0
    while at < len(words):
        for length in range(min(8, len(words) - at), 0, -1):
            cues = [c for c in lexicon.cues.get(words[at : at + length], ()) if c.roles & roles]
            if cues and at in starts and at + length in ends:
                places += [(starts[at], ends[at + length], cue) for cue in cues]
                at += length - 1
                break
        at += 1
    return places


def _found(
    theirs: Reading,
    place: tuple[int, int],
    cue: Cue,
    bears: Callable[[int], str | None],
    covered: Mapping[int, frozenset[str]],
    stops: frozenset[str],
) -> Iterator[tuple[int, str]]:
    """The nearest things on the sides on which the cue looks, with their roles."""
    for step, start, when in ((-1, place[0], ("prev", "near", "beside")), (1, place[1], ("next", "near"))):
        if cue.binds not in when:
            continue
        reach = 1 if cue.binds == "beside" else _REACH
        for at in range(start + step, start + step * (reach + 1), step):
            if not 0 <= at < len(theirs.items):
                break
            role = bears(at)
            if role is not None:
                yield at, role
            if role is not None or not _passable(theirs.items[at], covered.get(at), cue, stops):
                break


def _passable(item: Item, other: frozenset[str] | None, cue: Cue, stops: frozenset[str]) -> bool:
    """Whether a cue reaches over this item; `other` are the roles of a cue that the item is itself part of."""
    if item.text in stops or (other is not None and not other & cue.roles):
        return False
    if item.sort is Sort.MARK:
        return item.text in _OPEN_MARKS
    return item.sort is Sort.NEUTRAL or bool(item.concepts and set(item.concepts) <= _SOFT)


def _beside(theirs: Reading, hit: _Hit) -> set[str]:
    near = theirs.items[max(hit.first - 2, 0) : hit.first] + theirs.items[hit.last + 1 : hit.last + 3]
    return {concept.split(":")[0] for item in near for concept in item.concepts}


def _without_repeats(names: list[str]) -> list[str]:
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]
