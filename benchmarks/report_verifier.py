"""How many corrupted sentences of a report the verifier catches, and how many good ones it refuses.

    python -m benchmarks.report_verifier

All sentences were written, or are made by rules that were written, by the makers of the verifier; none is by a clinician, and
no Hindi one was read by anybody whose first language it is. Hand-written sentences are in two halves by hash. The lexicons were
made with one half in view, measured on the other, then mended by what that showed: neither is unseen any more, and only the
third part, written afterwards, still is. The rules for corrupting were in view from the start.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from benchmarks.machine import facts
from braintumor.report.verify import check
from tests.report.verify.corruption import corrupt
from tests.report.verify.suite import CODES, Sentence, blind, by_hand, fresh, ours, paraphrases, with_text

SEED = 20260301
PER_SORT = 40
"""Sentences of one sort of corruption that are drawn: the rules make many of the easy sorts and few of the hard ones."""


@dataclass
class Tally:
    """How many sentences of each sort were accepted."""

    total: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    texts: list[Sentence] = field(default_factory=list)

    def add(self, sentence: Sentence, *, accepted: bool) -> None:
        self.total[sentence.sort] += 1
        self.accepted[sentence.sort] += accepted
        if accepted:
            self.texts.append(sentence)


def judged(sentences: Iterable[Sentence]) -> Tally:
    """The verifier's answer to each."""
    tally = Tally()
    for sentence in sentences:
        tally.add(sentence, accepted=not check(sentence.text, sentence.statement, sentence.code))
    return tally


def by_rule(code: str, *, held_out: bool, per_sort: int) -> Iterator[Sentence]:
    """Corruptions of our own sentences and, apart, of those paraphrases that are accepted; the same number of every sort."""
    sources = paraphrases(code) if held_out else [*ours(code), *(s for s in paraphrases(code) if not s.held_out)]
    found: dict[str, list[Sentence]] = defaultdict(list)
    for source in sources:
        if source.held_out is held_out and not check(source.text, source.statement, code):
            for sort, text in corrupt(source.text, source.statement, code):
                found[sort].append(with_text(source, text, sort))
    draw = random.Random(SEED)  # not for secrets
    for sort in sorted(found):
        yield from found[sort] if not per_sort or len(found[sort]) <= per_sort else draw.sample(found[sort], per_sort)


def _print(title: str, tally: Tally, *, good: bool, classes: bool) -> None:
    total, accepted = sum(tally.total.values()), sum(tally.accepted.values())
    what = "falsely refused" if good else "caught"
    figure = 100 * (total - accepted) / max(total, 1)
    print(f"\n{title}: {what} {total - accepted} of {total} ({figure:.1f} %)")
    for sort in sorted(tally.total) if classes else ():
        wrong = tally.total[sort] - tally.accepted[sort] if good else tally.accepted[sort]
        if not good or wrong:
            print(f"  {sort:<28}{tally.total[sort] - tally.accepted[sort]:>5} of {tally.total[sort]}")


def _halves(code: str, sentences: Iterable[Sentence], title: str, *, good: bool, tuning: bool, explain: bool) -> None:
    listed = list(sentences)
    for held_out in (False,) if tuning else (False, True):
        half = "held out" if held_out else "in view"
        tally = judged(s for s in listed if s.held_out is held_out)
        _print(f"{code}, {title}, {half}", tally, good=good, classes=True)
        for sentence in tally.texts if explain and not good else ():
            print(f"    accepted: {sentence.sort}: {sentence.text}")
    if explain and good:
        for s in listed:
            problems = () if tuning and s.held_out else check(s.text, s.statement, code)
            if problems:
                print(f"    refused ({problems[0].kind}: {problems[0].detail}): {s.text}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tuning", action="store_true", help="the half in view only, so that the other stays unseen")
    parser.add_argument("--explain", action="store_true", help="print every sentence that was judged wrongly")
    parser.add_argument("--per-sort", type=int, default=PER_SORT, help="corruptions by rule of one sort; 0 for all")
    words = parser.parse_args()
    started = time.perf_counter()
    for code in CODES:
        options = {"tuning": words.tuning, "explain": words.explain}
        _halves(code, by_hand(code), "corrupted by hand", good=False, **options)
        made = [
            s
            for half in (False, True)
            for s in by_rule(code, held_out=half, per_sort=words.per_sort)
            if not (half and words.tuning)
        ]
        _halves(code, made, "corrupted by rule", good=False, **options)
        _halves(code, paraphrases(code), "good paraphrases", good=True, **options)
        if not words.tuning:
            _print(f"{code}, good paraphrases, written afterwards", judged(fresh(code)), good=True, classes=True)
            _print(f"{code}, good paraphrases, written blind", judged(blind(code)), good=True, classes=True)
        _print(f"{code}, our own sentences", judged(ours(code)), good=True, classes=True)
    print(f"\n{time.perf_counter() - started:.0f} s")
    for key, value in facts().items():
        print(f"{key:<12}{value}")


if __name__ == "__main__":
    main()
