"""How many bad answers of a language model are caught, and how many good rewordings are refused.

    python -m benchmarks.report_verifier

All sentences were written, or are made by rules that were written, by the makers of this software; none is by a clinician, and
no Hindi one was read by anybody whose first language it is. The words of the lists were chosen with ``good`` in view, which
holds all earlier held-out sets (docs/report.md has the figures of their first run); ``fresh`` and ``fresh-attacks`` were
written when the words were finished, with what a model is told in view.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable

from benchmarks.machine import facts
from tests.report.rewriting.suite import CODES, Sentence, corrupted, exchanged, good, templates, written


def _print(title: str, sentences: Iterable[Sentence], *, bad: bool, explain: bool, sorts: bool = False) -> None:
    total, refused, wrong = Counter[str](), Counter[str](), []
    for sentence in sentences:
        reasons = sentence.refused
        total[sentence.sort] += 1
        refused[sentence.sort] += bool(reasons)
        if bool(reasons) is not bad:
            wrong.append(f"    {'accepted' if bad else f'refused ({reasons[0]})'}: {sentence.sort}: {sentence.text}")
    figure = 100 * refused.total() / max(total.total(), 1)
    print(f"\n{title}: {'caught' if bad else 'falsely refused'} {refused.total()} of {total.total()} ({figure:.2f} %)")
    for sort in sorted(total) if sorts else ():
        print(f"  {sort:<32}{refused[sort]:>7} of {total[sort]}")
    print("\n".join(wrong if explain else ()), end="")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--explain", action="store_true", help="print every sentence that was judged wrongly")
    explain = parser.parse_args().explain
    started = time.perf_counter()
    for code in CODES:
        for name, what in (("adversarial", "written for the checker before this one"), ("fresh-attacks", "held out")):
            sentences, never = written(code, name)
            _print(f"{code}, bad answers by hand, {what}", sentences, bad=True, explain=explain)
            if never:
                print(f"  {never} more are about what no model is given")
        for name, what in (("good", "in view"), ("fresh", "held out")):
            sentences = good(code, name)
            _print(f"{code}, good rewordings, {what}", sentences, bad=False, explain=explain)
        made = (bad for sentence in good(code, "fresh") for bad in corrupted(sentence))
        _print(f"{code}, bad answers by rule, made of the held-out good ones", made, bad=True, explain=explain, sorts=True)
        ours = templates(code)
        _print(f"{code}, our own sentences", (Sentence(o, o.text, o.message) for o in ours), bad=False, explain=explain)
        swaps = [swap for o in ours for swap in exchanged(o)]
        kept = sum(not swap.refused for swap in swaps)
        print(f"\n{code}, two facts exchanged: {len(swaps) - kept} of {len(swaps)} refused; the others say the same, reordered")
    print(f"\n{time.perf_counter() - started:.0f} s")
    for key, value in facts().items():
        print(f"{key:<12}{value}")


if __name__ == "__main__":
    main()
