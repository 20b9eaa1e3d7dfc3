"""Decides whether a reworded sentence still says exactly what its statement says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from braintumor.report.language import render_statement
from braintumor.report.statements import Statement
from braintumor.report.verify.figures import dates, numbers, slots
from braintumor.report.verify.form import check_address, check_characters, check_form, is_foreign
from braintumor.report.verify.frames import soft
from braintumor.report.verify.lexicon import Lexicon, lexicon
from braintumor.report.verify.problems import Kind, Problem
from braintumor.report.verify.reading import QUOTES, Reading, Sort, outside_quotes, read
from braintumor.report.verify.roles import check_roles

_KINDS = {
    "side": Kind.SIDE,
    "region": Kind.REGION,
    "lobe": Kind.LOBE,
    "direction": Kind.DIRECTION,
    "neg": Kind.NEGATION,
    "earlier": Kind.ORDER,
    "now": Kind.ORDER,
    "since": Kind.ORDER,
    "sequence": Kind.TERM,
    "response": Kind.TERM,
    "sex": Kind.TERM,
    "topic": Kind.TERM,
    "input": Kind.TERM,
    "approximate": Kind.CERTAINTY,
    "only": Kind.CERTAINTY,
}
"""First part of a concept -> what is wrong where it is not the statement's."""

_COUNTED = frozenset({"neg", "approximate", "only"})
"""Concepts of which the number matters too: "not without" is not "without"."""


def check(text: str, statement: Statement, code: str) -> tuple[Problem, ...]:
    """What is wrong with a sentence as a rewording of a statement; empty where nothing is.

    Our own sentence says what has to be said, and every word of the text must be known: it repeats our sentence, or it is in
    the language's lexicon and says nothing that our sentence does not say. So what the lexicon lacks is refused, never guessed.

    Parameters
    ----------
    code
        Language of `text`.

    Raises
    ------
    UnknownLanguageError
        If there is no such language.
    """
    words = lexicon(code)
    problems = check_characters(outside_quotes(text, statement))
    if problems:
        return problems
    sentence = render_statement(statement, code)
    own = frozenset(words.words(sentence))
    ours, theirs = read(sentence, statement, words, own), read(text, statement, words, own)
    found = [*check_form(theirs, ours), *check_address(theirs.text), *_quotes(theirs, ours)]
    found += _strangers(theirs, words)
    found += dates(theirs, statement)
    wrong, readings = numbers(theirs, slots(statement, ours))
    found += wrong
    found += _concepts(theirs, ours, statement)
    if readings and not found:
        found += check_roles(theirs, readings, statement, words)
    return tuple(dict.fromkeys(found))


def _quotes(theirs: Reading, ours: Reading) -> Iterator[Problem]:
    for name in theirs.lost:
        yield Problem(Kind.VERBATIM, f"the words of '{name}' are not there exactly as they were, once")
    if not theirs.lost and _quoted(ours) - _quoted(theirs):
        yield Problem(Kind.VERBATIM, "quoted words are not in quotation marks")


def _quoted(reading: Reading) -> set[str]:
    """Which of the quoted words stand between quotation marks."""
    found = set()
    for before, item, after in zip(reading.items, reading.items[1:], reading.items[2:], strict=False):
        if item.sort is Sort.QUOTE and {before.text, after.text} <= set(QUOTES):
            found.add(item.text)
    return found


def _strangers(theirs: Reading, words: Lexicon) -> Iterator[Problem]:
    """Words that nobody knows."""
    for item in theirs.items:
        if item.sort is not Sort.UNKNOWN:
            continue
        if is_foreign(item.text, words):
            yield Problem(Kind.SCRIPT, f"'{item.text}' is not in the script of the language")
        else:
            kind = Kind(words.flagged.get(item.text.casefold(), Kind.ADDED))
            yield Problem(kind, f"'{item.text}' is not in the statement")


def _concepts(theirs: Reading, ours: Reading, statement: Statement) -> Iterator[Problem]:
    """Everything that our sentence says and nothing else."""
    may_add, may_leave_out = soft(statement)
    said, meant = Counter(theirs.concepts() + _signs(theirs)), Counter(ours.concepts())
    added = [c for c in said if c not in meant and c not in may_add]
    omitted = [c for c in meant if c not in said and c not in may_leave_out]
    yield from (Problem(_kind(c, Kind.ADDED), f"it says {_plain(c)}, which the statement does not") for c in added)
    yield from (Problem(_kind(c, Kind.OMITTED), f"it does not say {_plain(c)}") for c in omitted)
    if _answers(theirs):
        yield Problem(Kind.NEGATION, "a negation stands alone")
    for concept in _COUNTED & set(said) & set(meant):
        if said[concept] != meant[concept]:
            yield Problem(_kind(concept, Kind.ADDED), f"it says {_plain(concept)} another number of times than the statement")


def _answers(theirs: Reading) -> bool:
    """Whether a negation is an answer ("No, the tumour was segmented") and negates nothing of its own sentence."""
    items = theirs.items
    for at, item in enumerate(items):
        alone = at == 0 or items[at - 1].sort is Sort.MARK
        if item.concepts == ("neg",) and alone and (at + 1 == len(items) or items[at + 1].sort is Sort.MARK):
            return True
    return False


def _signs(theirs: Reading) -> list[str]:
    """Plus and minus say a direction."""
    signs = [item.sign for item in theirs.items if item.sort is Sort.NUMBER and item.sign]
    return ["direction:grown" if sign > 0 else "direction:shrunk" for sign in signs]


def _kind(concept: str, otherwise: Kind) -> Kind:
    return _KINDS.get(concept.split(":")[0], otherwise)


def _plain(concept: str) -> str:
    """A concept in words.

    >>> _plain("side:left"), _plain("neg"), _plain("word:apple")
    ("side 'left'", 'a negation', "'apple'")
    """
    if concept == "neg":
        return "a negation"
    kind, _, key = concept.partition(":")
    if not key or kind == "word":
        return f"'{key or kind}'"
    return f"{kind} '{key}'"
