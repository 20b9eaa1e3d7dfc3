"""How well a language model words reports, per prompt variant and language: closeness to references, errors by class, time.

    python -m benchmarks.report_quality --endpoint http://localhost:8000/v1 --model NAME
    python -m benchmarks.report_quality --model-folder DIR --variant few-shot/1 -o quality.json

Three made-up visits are worded (tests/report/rewriting/cases.py). The references are ours, one
for each of 32 sentences and language, and so are the templates: figures tell prompts and models apart, and nothing about how
radiologists write.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import facts
from braintumor.domain import Report
from braintumor.report.quality import Quality, Reference, Scores, measure, read_references, stale
from braintumor.report.rewriting import VARIANTS, EndpointModel, LanguageModel, TransformersModel
from braintumor.report.rewriting.candidates import key_of
from braintumor.report.statements import state
from braintumor.report.verify import check
from tests.report.rewriting.cases import CASES, report_of

FOLDER = Path(__file__).parent / "references"
LANGUAGES = ("en", "hi")


def references(code: str) -> tuple[Reference, ...]:
    return read_references(FOLDER / f"report.{code}.jsonl")


def accepted_references(reports: Mapping[str, Report], rows: Sequence[Reference], code: str) -> int:
    """References that the verifier accepts: what it refuses of good wording is the price of its strictness."""
    statements = {(case, key_of(s)): s for case, report in reports.items() for s in state(report.findings)}
    return sum(not check(row.reference, statements[row.case, row.key], code) for row in rows)


def table(rows: Sequence[Quality]) -> str:
    head = ("variant", "lang", "text", "BLEU", "chrF", "TER", "METEOR", "answered", "first", "accepted", "structure", "s")
    cells = [head]
    for row in rows:
        share = (row.answered, row.accepted_first, row.accepted)
        counts = (*(f"{n}/{row.sentences}" for n in share), f"{row.compliant}/{row.cases}", f"{row.seconds:.1f}")
        for name, figures, more in (("templates", row.templates, ()), ("model", row.model, counts), ("report", row.report, ())):
            cells.append((row.variant, row.language, name, *_figures(figures), *(more or [""] * 5)))
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = ("  ".join(f"{text:{'<' if n < 3 else '>'}{widths[n]}}" for n, text in enumerate(line)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def _figures(figures: Scores) -> tuple[str, ...]:
    return tuple(f"{value:.1f}" for value in (figures.bleu, figures.chrf, figures.ter, figures.meteor))


def errors(rows: Sequence[Quality]) -> str:
    lines = []
    for row in rows:
        classes = ", ".join(f"{name} {count}" for name, count in row.mistakes.items()) or "none"
        kinds = ", ".join(f"{name} {count}" for name, count in row.kinds.items())
        lines.append(f"{row.variant} {row.language}: {classes}" + (f" ({kinds})" if kinds else ""))
    return "\n".join(lines)


def _model(words: argparse.Namespace) -> LanguageModel:
    if words.model_folder is not None:
        return TransformersModel(words.model_folder, timeout_s=words.timeout)
    return EndpointModel(words.endpoint, words.model, key_env=words.key_env, timeout_s=words.timeout)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--endpoint", help="base address of an OpenAI-compatible server in the private network")
    which.add_argument("--model-folder", type=Path, help="folder of a model as transformers saves it")
    parser.add_argument("--model", default="", help="the model's name, for --endpoint")
    parser.add_argument("--key-env", default="", help="environment variable that holds the endpoint's key")
    parser.add_argument("--variant", action="append", choices=tuple(VARIANTS), help="prompt; may be repeated (default: all)")
    parser.add_argument("--language", action="append", choices=LANGUAGES, help="may be repeated (default: all)")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for one answer")
    parser.add_argument("--deadline", type=float, default=600.0, help="seconds for one report")
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON")
    return parser.parse_args()


def main() -> None:
    words = _arguments()
    model, reports = _model(words), {case: report_of(make()) for case, make in CASES.items()}
    rows = {code: references(code) for code in words.language or LANGUAGES}
    for code, known in rows.items():
        old = stale(known, reports, code)
        accepted = accepted_references(reports, known, code)
        print(f"{code}: {len(known)} references by developers, {len(old)} stale, {accepted} accepted by the verifier")
    found: list[Quality] = []
    for variant in words.variant or VARIANTS:
        now = datetime.now(UTC)
        found += measure(reports, model, rows, variant=variant, when=now, deadline_s=words.deadline)
    print(f"\nmodel: {model.name}\n{table(found)}\n\nErrors in first answers, by class (and kind):\n{errors(found)}")
    if words.output is not None:
        content = {"model": model.name, "machine": facts(), "variants": [asdict(row) for row in found]}
        words.output.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
