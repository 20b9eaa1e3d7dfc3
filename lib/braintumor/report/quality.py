"""How well a language model words reports: closeness to references, what the verifier refuses and why, structure, time."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import single_meteor_score
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_intl import TokenizerV14International

from braintumor.domain import Line, Origin, Report, Section
from braintumor.report.language import render_statement
from braintumor.report.rewriting import NEVER, SECTIONS, LanguageModel, rewrite
from braintumor.report.rewriting.candidates import Key, candidates, key_of
from braintumor.report.rewriting.judging import AgreesBack, Check, ProblemLike, judge_with
from braintumor.report.statements import Statement, state


class Mistake(StrEnum):
    """Classes of errors in generated reports."""

    OMISSION = "omission"
    MISINTERPRETATION = "misinterpretation"
    HALLUCINATION = "hallucination"
    FORM = "form"


_CLASSES = {
    "omitted": Mistake.OMISSION,
    "added": Mistake.HALLUCINATION,
    "script": Mistake.FORM,
    "structure": Mistake.FORM,
}


def class_of(kind: str) -> Mistake:
    """The class of a verifier's kind of problem; what is said, and said wrongly, is a misinterpretation."""
    return _CLASSES.get(str(kind), Mistake.MISINTERPRETATION)


@dataclass(frozen=True, slots=True)
class Reference:
    """How people would word one line; `text` is the deterministic sentence it was written for, with plain spaces."""

    case: str
    key: Key
    text: str
    reference: str
    written_by: str


def read_references(path: Path) -> tuple[Reference, ...]:
    """References from a file with one JSON object a line."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    return tuple(
        Reference(
            case=row["case"],
            key=(Section(row["section"]), row["message"], row["source"]),
            text=row["text"],
            reference=row["reference"],
            written_by=row["written_by"],
        )
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class Scores:
    """Over all sentences, 0 to 100; TER is better when lower and may exceed 100.

    METEOR counts exact words and, in English, equal stems. Its synonyms need WordNet, which is a download, so figures are lower
    than those of papers that have them.
    """

    bleu: float
    chrf: float
    ter: float
    meteor: float


class _NoSynonyms:
    def synsets(self, word: str) -> list[object]:
        """None of any word."""
        return []


class _NoStems:
    def stem(self, word: str) -> str:
        """The word itself."""
        return word


def scores(texts: Sequence[str], references: Sequence[str], code: str) -> Scores:
    """Closeness of texts to one reference each; '' stands for a sentence that was not given.

    English is split by sacrebleu's ``13a``. Everything else is split by ``intl``, because the danda is no ASCII punctuation.
    """
    said = [_plain(text) for text in texts]
    wanted = [[_plain(text) for text in references]]
    english = code == "en"
    split = Tokenizer13a() if english else TokenizerV14International()  # type: ignore[no-untyped-call]
    stemmer = PorterStemmer() if english else _NoStems()
    meteor = [
        single_meteor_score(split(b).split(), split(a).split(), stemmer=stemmer, wordnet=_NoSynonyms()) if a else 0.0
        for a, b in zip(said, wanted[0], strict=True)
    ]
    return Scores(
        bleu=BLEU(tokenize="13a" if english else "intl").corpus_score(said, wanted).score,
        chrf=CHRF().corpus_score(said, wanted).score,
        ter=TER().corpus_score(said, wanted).score,
        meteor=100 * sum(meteor) / len(meteor) if meteor else 0.0,
    )


@dataclass(frozen=True, slots=True)
class Quality:
    """What one prompt variant brought in one language, over all cases.

    Attributes
    ----------
    sentences
        That the model was given.
    answered
        For which an answer could be read; the first of them is judged below.
    accepted_first, accepted
        With that answer, and with any; the others keep the deterministic sentence.
    mistakes, kinds
        What the verifier found wrong with first answers: class or kind -> sentences that show it.
    templates, model, report
        Scores of the deterministic sentences, of the model's first answers whether accepted or not, and of the finished report.
    compliant, cases
        Reports whose structure is as it must be, and all.
    seconds
        For all cases, all languages of the run together.
    """

    variant: str
    language: str
    sentences: int
    answered: int
    accepted_first: int
    accepted: int
    mistakes: Mapping[str, int]
    kinds: Mapping[str, int]
    templates: Scores
    model: Scores
    report: Scores
    referenced: int
    compliant: int
    cases: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _First:
    """The first answer for one sentence."""

    text: str
    kinds: tuple[str, ...]


class _Recorder:
    """The verifier, with its verdicts on first answers kept."""

    def __init__(self, check: Check, agrees_back: AgreesBack) -> None:
        self._check, self._agrees_back = check, agrees_back
        self._code = ""
        self.first: dict[tuple[str, Key], _First] = {}

    def check(self, text: str, statement: Statement, code: str) -> Sequence[ProblemLike]:
        self._code = code
        found = self._check(text, statement, code)
        self.first.setdefault((code, key_of(statement)), _First(text, _kinds(found)))
        return found

    def agrees_back(self, back: str, statement: Statement) -> Sequence[ProblemLike]:
        """Called for the language that was checked last."""
        found, name = self._agrees_back(back, statement), (self._code, key_of(statement))
        if found and not self.first[name].kinds:
            self.first[name] = _First(self.first[name].text, _kinds(found))
        return found


@dataclass(frozen=True, slots=True)
class _Run:
    """One case before and after."""

    case: str
    before: Report
    after: Report
    recorder: _Recorder


def measure(
    reports: Mapping[str, Report],
    model: LanguageModel,
    references: Mapping[str, Sequence[Reference]],
    *,
    variant: str,
    when: datetime,
    deadline_s: float = 600.0,
    attempts: int = 3,
    check: Check | None = None,
    agrees_back: AgreesBack | None = None,
) -> tuple[Quality, ...]:
    """Let a model word reports in one prompt variant, and judge every language of `references`.

    Parameters
    ----------
    reports
        Name of the case -> draft.
    references
        Language -> references; their `case` names the report.
    """
    judge = judge_with(check, agrees_back)
    runs, started = [], time.perf_counter()
    for case, report in reports.items():
        recorder = _Recorder(judge.check, judge.agrees_back)
        after = rewrite(
            report,
            model,
            when=when,
            languages=tuple(references),
            attempts=attempts,
            deadline_s=deadline_s,
            variant=variant,
            check=recorder.check,
            agrees_back=recorder.agrees_back,
        )
        runs.append(_Run(case, report, after, recorder))
    seconds = time.perf_counter() - started
    return tuple(_quality(runs, code, references[code], variant, seconds) for code in references)


def _quality(runs: Sequence[_Run], code: str, references: Sequence[Reference], variant: str, seconds: float) -> Quality:
    given = [(run, c.key) for run in runs for c in candidates(run.before.findings, run.before.texts[code], SECTIONS)]
    first = {(run.case, key): run.recorder.first[code, key] for run, key in given if (code, key) in run.recorder.first}
    accepted = {(run.case, key) for run, key in given if _line(run.after, code, key).origin is Origin.MODEL}
    known = {run.case: run for run in runs}
    asked = {(run.case, key) for run, key in given}
    used = [reference for reference in references if (reference.case, reference.key) in asked]

    def scored(text_of: Callable[[_Run, Key], str]) -> Scores:
        return scores([text_of(known[r.case], r.key) for r in used], [r.reference for r in used], code)

    return Quality(
        variant=variant,
        language=code,
        sentences=len(given),
        answered=len(first),
        accepted_first=sum(not answer.kinds and name in accepted for name, answer in first.items()),
        accepted=len(accepted),
        mistakes=_counted({class_of(kind).value for kind in answer.kinds} for answer in first.values()),
        kinds=_counted(set(answer.kinds) for answer in first.values()),
        templates=scored(lambda run, key: _line(run.before, code, key).text),
        model=scored(lambda run, key: first[run.case, key].text if (run.case, key) in first else ""),
        report=scored(lambda run, key: _line(run.after, code, key).text),
        referenced=len(used),
        compliant=sum(not structure(run.before, run.after, code) for run in runs),
        cases=len(runs),
        seconds=seconds,
    )


def structure(before: Report, after: Report, code: str) -> tuple[str, ...]:
    """What is wrong with the structure of a rewritten report; empty if every fact is said once, in order, where it belongs.

    Sections that no model may touch have to be as they were.
    """
    old, new = before.texts[code].sections, after.texts[code].sections
    statements = state(before.findings)
    found = [] if tuple(new) == tuple(Section) else ["the sections are not all there in their order"]
    for section in Section:
        lines = new.get(section, ())
        said = [(section, line.message, line.source) for line in lines]
        if said != [key_of(s) for s in statements if s.section is section]:
            found.append(f"{section.value}: the lines are not those of the statements, in their order")
        if any(not line.text.strip() or "\n" in line.text for line in lines):
            found.append(f"{section.value}: a line is empty or broken")
        if section in NEVER and lines != old.get(section, ()):
            found.append(f"{section.value}: changed, and must not be")
    return tuple(found)


def stale(references: Sequence[Reference], reports: Mapping[str, Report], code: str) -> tuple[str, ...]:
    """References whose line is gone or is worded otherwise by now, in plain words."""
    said = {
        (case, key_of(s)): _plain(render_statement(s, code)) for case, report in reports.items() for s in state(report.findings)
    }
    return tuple(
        f"{r.case}: {r.key[1]} of {r.key[2]}" for r in references if r.case in reports and said.get((r.case, r.key)) != r.text
    )


def _counted(rows: Iterable[Iterable[str]]) -> dict[str, int]:
    return dict(Counter(name for row in rows for name in row).most_common())


def _line(report: Report, code: str, key: Key) -> Line:
    """The line of a key; an empty one where it is gone."""
    section, *name = key
    return next((line for line in report.texts[code].sections[section] if [line.message, line.source] == name), Line(""))


def _kinds(problems: Sequence[ProblemLike]) -> tuple[str, ...]:
    return tuple(str(problem.kind) for problem in problems)


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ")
