"""Precision and recall of the summary of notes on made-up patients, and the time that many notes take.

    python -m benchmarks.context

Thresholds were chosen on the first group of patients; only the second says anything about notes not seen before. All notes and
the keywords have one author, so figures on real notes will be lower.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.machine import facts
from braintumor import notes as context
from braintumor.domain import Context, Topic
from braintumor.notes import ContextOptions, embedding
from tests.notes.notes import HELD_OUT, TUNED_ON, Case


def judge(case: Case, answer: Context) -> dict[Topic, Counter[str]]:
    """Per topic: sentences shown, those of them that are wanted, fragments wanted, those of them that are shown."""
    result = {}
    for topic in Topic:
        shown = [s.text for s in answer.about(topic)]
        wanted = case.wanted.get(topic, ())
        right = sum(any(fragment in text for fragment in wanted) for text in shown)
        found = sum(any(fragment in text for text in shown) for fragment in wanted)
        result[topic] = Counter(shown=len(shown), right=right, wanted=len(wanted), found=found)
    return result


def measure(cases: Iterable[Case], options: ContextOptions, *, explain: bool = False) -> dict[Topic, Counter[str]]:
    """The counts of `judge`, summed over patients."""
    total: dict[Topic, Counter[str]] = {topic: Counter() for topic in Topic}
    for case in cases:
        answer = context.summarise(case.folder, options=options)
        for topic, counts in judge(case, answer).items():
            total[topic].update(counts)
            if explain:
                _explain(case, topic, answer)
    return total


def _explain(case: Case, topic: Topic, answer: Context) -> None:
    shown = answer.about(topic)
    wanted = case.wanted.get(topic, ())
    for s in shown:
        if not any(fragment in s.text for fragment in wanted):
            print(f"  {case.name} {topic}: not wanted {s.score:.2f} {s.text!r}")
    for fragment in wanted:
        if not any(fragment in s.text for s in shown):
            print(f"  {case.name} {topic}: missed {fragment!r}")


def _table(title: str, total: Mapping[Topic, Counter[str]]) -> None:
    print(f"\n{title:<42} {'precision':>18} {'recall':>18}")
    whole: Counter[str] = Counter()
    for counts in total.values():
        whole.update(counts)
    for label, counts in [*((t.value, c) for t, c in total.items()), ("all", whole)]:
        print(f"{label:<42} {_share(counts['right'], counts['shown']):>18} {_share(counts['found'], counts['wanted']):>18}")


def _share(part: int, of: int) -> str:
    return f"{part / of:.2f} ({part} of {of})" if of else "-"


def _speed(notes: int) -> None:
    # two pages: about 6000 characters; numbers make sentences differ, so that none is left out as a repetition
    text = "\n".join(text for case in (*TUNED_ON, *HELD_OUT) for text in case.texts() if text.isascii())
    text = (text * 3)[:6000]
    with tempfile.TemporaryDirectory() as folder:
        for n in range(notes):
            (Path(folder) / f"note {n:03}.txt").write_text(
                "".join(f"{line} ({n})\n" if line else "\n" for line in text.splitlines())
            )
        seconds, processor = [], time.process_time()
        for _ in range(3):
            at = time.perf_counter()
            context.summarise(Path(folder))
            seconds.append(time.perf_counter() - at)
        processor = (time.process_time() - processor) / len(seconds)
    print(f"\n{notes} notes of 2 pages: {', '.join(f'{s:.2f}' for s in seconds)} s; processor time {processor:.2f} s each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--explain", action="store_true", help="print every sentence that was wrong or missed, of the first group"
    )
    parser.add_argument("--notes", type=int, default=20, help="notes in the measurement of time")
    parser.add_argument("--tuning", action="store_true", help="the first group only, so that the second stays unseen")
    words = parser.parse_args()
    options = ContextOptions(per_topic=8)
    started = time.perf_counter()
    embedding.load()
    print(f"model loaded once per process: {time.perf_counter() - started:.2f} s")
    _table(f"Thresholds chosen on these ({len(TUNED_ON)} patients)", measure(TUNED_ON, options, explain=words.explain))
    if not words.tuning:
        _table(f"Never used for choosing ({len(HELD_OUT)} patients)", measure(HELD_OUT, options))
        for key, value in facts().items():
            print(f"{key:<12}{value}")
        _speed(words.notes)


if __name__ == "__main__":
    main()
