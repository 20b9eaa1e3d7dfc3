"""Error and seconds of tracking on pairs of visits with known answers, side by side with other registrations.

``python -m benchmarks.tracking`` runs the phantom study, ``--real DATA/brats`` pairs made from real cases as well,
``--peer-python PATH`` (repeatable) elastix and ANTs where that Python has them, and ``--calibrate`` shows what the quality
figure says when the alignment is wrong or the patients differ. One line a pair, tables at the end. For comparable seconds set
OMP_NUM_THREADS and ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS for all methods alike.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tracking_judge import ML, PERCENT, Verdict, judge, landmarks
from benchmarks.tracking_pairs import Pair, phantom_pairs, real_pairs
from benchmarks.tracking_peers import Found, Method, methods, ours
from benchmarks.tracking_pictures import montage
from braintumor.track import register

OURS = "this project"


class Study:
    """What all methods made of one kind of pairs."""

    def __init__(self, title: str, compared: Mapping[str, Method], pictures: Path | None = None) -> None:
        self.title, self._methods, self._pictures = title, compared, pictures
        self.verdicts: list[tuple[str, Verdict]] = []
        self.lost: list[str] = []
        self.results: dict[str, list[tuple[Found, list[float]]]] = {name: [] for name in compared}

    def run(self, pairs: Iterable[Pair]) -> None:
        """Every method on every pair, the answer printed as it comes."""
        for pair in pairs:
            words = [pair.name]
            for name, method in self._methods.items():
                found = method(pair)
                missed = [] if found.matrix is None else landmarks(pair, found.matrix).tolist()
                self.results[name].append((found, missed))
                words.append(f"{name} {np.median(missed):.3f} mm {found.cpu_s:.1f} s" if missed else f"{name} gave up")
                if name == OURS:
                    self._judge(pair, found, words)
            print("; ".join(words), flush=True)

    def _judge(self, pair: Pair, found: Found, words: list[str]) -> None:
        if found.matrix is None:
            self.lost.append(pair.name)
            return
        verdict = judge(pair, found.matrix)
        self.verdicts.append((pair.name, verdict))
        if self._pictures is not None:
            self._pictures.mkdir(parents=True, exist_ok=True)
            montage(pair, found.matrix, self._pictures / f"{self.title.split()[0]}-{len(self.verdicts):02d}.png")
        words += [f"MISTAKE {m}" for m in verdict.mistakes]
        words += [
            f"VOLUME of {c.lesion}: {c.before:.2f} to {c.after:.2f} mL, change {c.measured:+.2f}"
            for c in verdict.changes
            if not c.right
        ]

    def methods_table(self) -> dict[str, dict[str, Any]]:
        """Landmark error over all landmarks of all pairs, seconds a pair; `poor`: pairs missed by 2 mm or more, or given up."""
        table = {}
        for name, results in self.results.items():
            missed = [mm for _, mms in results for mm in mms]
            table[name] = {
                "median_mm": float(np.median(missed)) if missed else None,
                "p95_mm": float(np.percentile(missed, 95)) if missed else None,
                "cpu_s": float(np.median([f.cpu_s for f, _ in results])),
                "wall_s": float(np.median([f.wall_s for f, _ in results])),
                "slowest_wall_s": max(f.wall_s for f, _ in results),
                "poor": sum(not mms or float(np.median(mms)) >= 2 for _, mms in results),
            }
        return table

    def tracking_table(self) -> dict[str, Any]:
        """Volumes and lesions."""
        changes = [c for _, v in self.verdicts for c in v.changes]
        table: dict[str, Any] = {"pairs": len(self.verdicts) + len(self.lost), "refused": self.lost}
        for name, chosen in (("tumour", [c for c in changes if not c.lesion]), ("lesion", [c for c in changes if c.lesion])):
            if not chosen:
                continue
            ml, percent = [c.error_ml for c in chosen], [c.error_percent for c in chosen]
            table[f"{name}_changes"] = len(chosen)
            for unit, values in (("ml", ml), ("percent", percent)):
                table[f"{name}_error_{unit}"] = [float(np.median(values)), float(np.percentile(values, 95)), max(values)]
            table[f"{name}_changes_wrong"] = sum(not c.right for c in chosen)
            table[f"{name}_changes_covered"] = sum(c.covered for c in chosen) / len(chosen)
        table["lesions"] = sum(v.lesions for _, v in self.verdicts)
        table["new_lesions"] = sum(v.new for _, v in self.verdicts)
        table["mistakes"] = [f"{name}: {m}" for name, v in self.verdicts for m in v.mistakes]
        return table

    def show(self) -> dict[str, Any]:
        """Print both tables and give them as JSON-ready data."""
        seconds, found = self.methods_table(), self.tracking_table()
        print(f"\n{self.title}, {found['pairs']} pairs")
        heads = ("median mm", "95 % mm", "cpu s", "wall s", "slowest", "poor")
        print(f"{'registration':<20}" + "".join(f"{head:>10}" for head in heads))
        for name, row in seconds.items():
            cells = [f"{'-' if v is None else f'{v:.3f}' if k.endswith('mm') else f'{v:.1f}'}" for k, v in row.items()]
            cells[-1] = str(row["poor"])
            print(f"{name:<20}" + "".join(f"{cell:>10}" for cell in cells))
        units = "".join(f"{f'median {unit}':>11}{'95 %':>8}{'max':>8}" for unit in ("mL", "%"))
        print(f"{'change of volume':<20}{'number':>10}{units}")
        for kind in ("tumour", "lesion"):
            if f"{kind}_changes" in found:
                ml, percent = found[f"{kind}_error_ml"], found[f"{kind}_error_percent"]
                print(
                    f"{kind:<20}{found[f'{kind}_changes']:>10}{ml[0]:>11.3f}{ml[1]:>8.3f}{ml[2]:>8.3f}"
                    f"{percent[0]:>11.2f}{percent[1]:>8.2f}{percent[2]:>8.2f}"
                    f"   {found[f'{kind}_changes_wrong']} outside {PERCENT:g} % and {ML:g} mL,"
                    f" {found[f'{kind}_changes_covered']:.0%} inside the stated 95 % interval"
                )
        print(f"lesions {found['lesions']}, of them new {found['new_lesions']}; mistakes of matching {len(found['mistakes'])}")
        return {"registration": seconds, "tracking": found}


def calibrate(pairs: Iterator[Pair]) -> None:
    """Quality of true alignments, of alignments that are off, and between different patients."""
    last: Pair | None = None
    for pair in pairs:
        a, b = register._pyramid(pair.current)[-1], register._pyramid(pair.prior)[-1]
        matrix = ours(pair)
        off = [matrix.copy() for _ in range(3)]
        for n, mm in enumerate((3.0, 6.0, 12.0)):
            off[n][0, 3] += mm
        words = [f"{register._quality(a, b, m):.3f}" for m in (matrix, *off)]
        stranger, other = "-", last is not None and last.name.split(":")[0] != pair.name.split(":")[0]
        if last is not None and other:
            old, register.QUALITY_REFUSE = register.QUALITY_REFUSE, -1.0
            stranger = f"{register.align_visits(pair.current, last.prior).quality:.3f}"
            register.QUALITY_REFUSE = old
        print(f"{pair.name}: right {words[0]}, off by 3 mm {words[1]}, 6 mm {words[2]}, 12 mm {words[3]}, other {stranger}")
        last = pair if last is None or other else last


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=6, help="phantoms of 3 mm")
    parser.add_argument("--fine", type=int, default=0, help="phantoms with anatomy of 1.5 mm and mixed spacings; slower")
    parser.add_argument("--real", type=Path, help="folder of BraTS cases")
    parser.add_argument("--real-pairs", type=int, default=10)
    parser.add_argument("--peer-python", action="append", default=[], help="a Python that has itk-elastix or antspyx")
    parser.add_argument("--method", action="append", default=[], help="only this one; repeatable")
    parser.add_argument("--pictures", type=Path, help="folder for a montage of every pair, to be looked at")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.calibrate:
        calibrate(phantom_pairs(arguments.pairs, 3.0))
        return
    compared = methods(arguments.peer_python, arguments.method)
    table = {}
    for title, pairs, count in (
        ("phantoms of 3 mm", phantom_pairs(arguments.pairs, 3.0), arguments.pairs),
        ("phantoms of 1.5 mm, mixed spacings", phantom_pairs(arguments.fine, 1.5, 1000), arguments.fine),
        ("real cases", real_pairs(arguments.real, arguments.real_pairs) if arguments.real else (), bool(arguments.real)),
    ):
        if not count:
            continue
        study = Study(title, compared, arguments.pictures)
        study.run(pairs)
        table[title] = study.show()
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
