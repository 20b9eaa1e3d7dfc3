"""How well a language model words reports, per prompt variant and language: closeness to references, refusals by sort, time.

    python -m benchmarks.report_quality --endpoint http://localhost:8000/v1 --model NAME
    python -m benchmarks.report_quality --model-folder DIR --variant plain/2 -o quality.json

Three made-up visits are worded (tests/report/rewriting/cases.py). The references are ours, one for each of 32 sentences and
language, and so are the templates: figures tell prompts and models apart, and nothing about how radiologists write.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import single_meteor_score
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_intl import TokenizerV14International

from benchmarks.machine import facts
from braintumor.domain import Action, Origin, Report
from braintumor.report.rewriting import SECTIONS, VARIANTS, EndpointModel, LanguageModel, TransformersModel, rewrite
from braintumor.report.rewriting.candidates import candidates
from tests.report.rewriting.cases import CASES, report_of

FOLDER = Path(__file__).parent / "references"
LANGUAGES = ("en", "hi")

Key = tuple[str, str, str, str]
"""Case, section, message and source of a line."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Over all sentences, 0 to 100; TER is better when lower and may exceed 100.

    METEOR counts exact words and, in English, equal stems; its synonyms need WordNet, which is a download.
    """

    bleu: float
    chrf: float
    ter: float
    meteor: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What one prompt variant brought in one language; `refusals` by sort, `templates` are the scores of our own sentences."""

    variant: str
    language: str
    sentences: int
    accepted: int
    refusals: Mapping[str, int]
    templates: Scores
    report: Scores
    seconds: float


class _Neither:
    """No synonyms, no stems."""

    def synsets(self, word: str) -> list[object]:
        return []

    def stem(self, word: str) -> str:
        return word


def scores(texts: Sequence[str], references: Sequence[str], code: str) -> Scores:
    """Closeness of texts to one reference each; English is split by ``13a``, all else by ``intl``, which knows the danda."""
    said, wanted = ([text.replace("\u00a0", " ") for text in rows] for rows in (texts, references))
    english = code == "en"
    split = Tokenizer13a() if english else TokenizerV14International()
    stemmer = PorterStemmer() if english else _Neither()
    meteor = [
        single_meteor_score(split(b).split(), split(a).split(), stemmer=stemmer, wordnet=_Neither()) if a else 0.0
        for a, b in zip(said, wanted, strict=True)
    ]
    return Scores(
        BLEU(tokenize="13a" if english else "intl").corpus_score(said, [wanted]).score,
        CHRF().corpus_score(said, [wanted]).score,
        TER().corpus_score(said, [wanted]).score,
        100 * sum(meteor) / max(len(meteor), 1),
    )


def references(code: str) -> dict[Key, dict[str, str]]:
    """How people would word a line: rows with the line's `text` and its `reference`."""
    rows = [json.loads(line) for line in (FOLDER / f"report.{code}.jsonl").read_text("utf-8").splitlines() if line.strip()]
    return {(row["case"], row["section"], row["message"], row["source"]): row for row in rows}


def lines(reports: Mapping[str, Report], code: str) -> dict[Key, str]:
    return {
        (case, section.value, line.message, line.source): line.text
        for case, report in reports.items()
        for section, said in report.texts[code].sections.items()
        for line in said
    }


def measure(reports: Mapping[str, Report], model: LanguageModel, code: str, variant: str, deadline_s: float = 600.0) -> Quality:
    """Let a model word reports in one prompt variant and language, and judge what came of it."""
    started = perf_counter()
    when = datetime.now(UTC)
    after = {
        case: rewrite(report, model, when=when, languages=[code], variant=variant, deadline_s=deadline_s)
        for case, report in reports.items()
    }
    seconds, known = perf_counter() - started, references(code)
    refused = [e.detail for r in after.values() for e in r.audit if e.action is Action.REFUSED]
    wanted = [row["reference"] for row in known.values()]
    found = [lines(made, code) for made in (reports, after)]
    ours, theirs = (scores([said[key] for key in known], wanted, code) for said in found)
    said = [line for report in after.values() for section in report.texts[code].sections.values() for line in section]
    return Quality(
        variant=variant,
        language=code,
        sentences=sum(len(candidates(r.findings, r.texts[code], SECTIONS)) for r in reports.values()),
        accepted=sum(line.origin is Origin.MODEL for line in said),
        refusals=dict(Counter(detail.split(": ")[1] if detail.count(": ") > 1 else "no answer" for detail in refused)),
        templates=ours,
        report=theirs,
        seconds=seconds,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--endpoint", help="base address of an OpenAI-compatible server in the private network")
    which.add_argument("--model-folder", type=Path, help="folder of a model as transformers saves it")
    parser.add_argument("--model", default="", help="the model's name, for --endpoint")
    parser.add_argument("--variant", action="append", choices=tuple(VARIANTS), help="prompt; may be repeated (default: all)")
    parser.add_argument("--language", action="append", choices=LANGUAGES, help="may be repeated (default: all)")
    parser.add_argument("--deadline", type=float, default=600.0, help="seconds for one report")
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON")
    return parser.parse_args()


def main() -> None:
    words = _arguments()
    model = TransformersModel(words.model_folder) if words.model_folder else EndpointModel(words.endpoint, words.model)
    reports = {case: report_of(make()) for case, make in CASES.items()}
    found = [
        measure(reports, model, code, variant, words.deadline)
        for variant in words.variant or VARIANTS
        for code in words.language or LANGUAGES
    ]
    for q in found:
        print(
            f"{q.variant} {q.language}: {q.accepted} of {q.sentences} accepted, {q.seconds:.1f} s, refusals {dict(q.refusals)}"
        )
        for name, s in (("templates", q.templates), ("report", q.report)):
            print(f"  {name:<10} BLEU {s.bleu:.1f}  chrF {s.chrf:.1f}  TER {s.ter:.1f}  METEOR {s.meteor:.1f}")
    if words.output is not None:
        content = {"model": model.name, "machine": facts(), "variants": [asdict(row) for row in found]}
        words.output.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
