"""Which of T1, T1ce, T2, FLAIR a series is, from its acquisition attributes first and its description next, with reasons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from braintumor.domain import Evidence, MRSequence
from braintumor.study.facts import HeaderFacts

STRONG, NAMED, WEAK = 3.0, 2.0, 1.0
"""Votes: what the physics of the acquisition says outweighs what a person typed, which outweighs a hint."""


REGISTERED_PRIOR = "REGISTERED PRIOR"
"""Image Type value of an earlier visit's image that was registered and stored in this study (`braintumor.track.dicom`)."""


@dataclass(frozen=True, slots=True)
class SequenceVerdict:
    """Evidence, and whether contrast agent was given: True, False, or None where nothing says it."""

    evidence: Evidence
    agent: bool | None = None


@dataclass(frozen=True, slots=True)
class _Vote:
    weighting: MRSequence  # T1 stands for both T1 and T1ce here
    weight: float
    reason: str


def classify(facts: HeaderFacts) -> SequenceVerdict:
    """Classify one series by its header.

    Returns
    -------
    Verdict
        `Evidence.sequence` None if it is none of the four. Confidence is ``1 - 2 ** -(lead of the winning votes)``: attributes
        alone 0.88, description alone 0.75, both 0.97, contradiction 0.5. For a T1-weighted series about which nothing says
        whether contrast agent was given, the answer is T1 and `SequenceVerdict.agent` is None.
    """
    excluded = next(_exclusions(facts), None)
    if excluded is not None:
        return SequenceVerdict(Evidence(None, 0.95, (excluded,)))
    votes = [*_attribute_votes(facts), *_text_votes(facts)]
    scores = {s: sum(v.weight for v in votes if v.weighting is s) for s in (MRSequence.T1, MRSequence.T2, MRSequence.FLAIR)}
    best, second, _ = sorted(scores, key=lambda s: -scores[s])
    if scores[best] == 0:
        return SequenceVerdict(Evidence(None, 0.5, ("neither its attributes nor its description fit T1, T2 or FLAIR",)))
    if scores[best] == scores[second]:
        reasons = tuple(v.reason for v in votes)
        return SequenceVerdict(Evidence(None, 0.5, (f"contradiction between {best.title} and {second.title}", *reasons)))
    lead = scores[best] - scores[second]
    confidence = round(min(0.99, 1.0 - 2.0**-lead), 2)
    ordered = sorted(votes, key=lambda v: (v.weighting is not best, -v.weight))
    reasons = tuple(v.reason if v.weighting is best else f"against it: {v.reason}" for v in ordered)
    if best is not MRSequence.T1:
        return SequenceVerdict(Evidence(best, confidence, reasons))
    return _with_agent(facts, confidence, reasons)


def _with_agent(facts: HeaderFacts, confidence: float, reasons: tuple[str, ...]) -> SequenceVerdict:
    """Split T1-weighted into T1 and T1ce."""
    named = _agent_by_text(facts.description)
    if facts.agent is None and named is None:
        return SequenceVerdict(
            Evidence(MRSequence.T1, min(confidence, 0.6), (*reasons, "nothing says whether contrast agent was given"))
        )
    agent = bool(facts.agent) if named is None else named  # a person who typed 'pre' knew; the agent field is often left over
    why = []
    if facts.agent is not None:
        why.append("ContrastBolusAgent names an agent" if facts.agent else "ContrastBolusAgent says none was given")
    if named is not None:
        why.append(f"the description says {'with' if named else 'without'} contrast agent")
    if named is not None and facts.agent is not None and named != facts.agent:
        confidence = min(confidence, 0.6)
    return SequenceVerdict(Evidence(MRSequence.T1CE if agent else MRSequence.T1, confidence, (*reasons, *why)), agent)


_NOT_ANATOMICAL = {
    "LOCALIZER": "a localiser",
    "ADC": "a diffusion map",
    "DIFFUSION": "diffusion-weighted",
    "TRACEW": "diffusion-weighted",
    "FA": "a diffusion map",
    "TENSOR": "a diffusion map",
    "PERFUSION": "perfusion",
    "CBF": "a perfusion map",
    "CBV": "a perfusion map",
    "RCBV": "a perfusion map",
    "MTT": "a perfusion map",
    "TTP": "a perfusion map",
    "ASL": "perfusion",
    "MIP": "a maximum intensity projection",
    "MNIP": "a minimum intensity projection",
    "MINIP": "a minimum intensity projection",
    "MAX_IP": "a maximum intensity projection",
    "PROJECTION IMAGE": "a projection",
    "SWI": "susceptibility-weighted",
    "SW": "susceptibility-weighted",
    "P": "a phase image",
    "PHASE MAP": "a phase image",
    "SUBTRACTION": "a subtraction",
    "SUB": "a subtraction",
    "T1 MAP": "a relaxation map",
    "T2 MAP": "a relaxation map",
    "FMRI": "functional imaging",
    "SCREEN SAVE": "a screenshot",
    REGISTERED_PRIOR: "pixels of an earlier visit",
}

_TEXT_EXCLUSIONS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        (r"\b(loc|localizer|localiser|scout|survey|3 ?plane|3 ?pl|aahead\w*|topogram)\b", "a localiser"),
        (r"\b(adc|eadc|dwi|diff\w*|trace\w*|dti|tensor|b0|b1000|ivim)\b|\bep2d\b", "diffusion-weighted"),
        (r"\b(perf\w*|dsc|dce|asl|r?cb[fv]|mtt|ttp|pwi|pasl|pcasl)\b", "perfusion"),
        (r"\b(swi|swan|swip|ven ?bold|venobold|mag images|pha images|qsm)\b", "susceptibility-weighted"),
        (r"\b(mip|minip|projection)\b", "a projection"),
        (r"\b(tof|angio\w*|mra|mrv|pca|inhance|trick\w*|twist)\b", "an angiogram"),
        (r"\b(bold|fmri|resting)\b", "functional imaging"),
        (r"\b(csi|svs|spectro\w*|press|mrs)\b", "spectroscopy"),
        (r"\b(t2 ?\*|t2 ?star|hemo|haemo|medic|merge|star)\b|\bt2\*", "T2*-weighted"),
        (r"\b(t[12] ?map|map|mapit|field ?map\w*|b1 ?map)\b", "a parameter map"),
        (r"\b(sub|subtr\w*|subtraction)\b", "a subtraction"),
        (r"\b(stir|fiesta|ciss|trufi|space ?iac|cisternography)\b", "another contrast than the four"),
        (r"\b(screen ?save|report|phoenix\w*|collage)\b", "not an acquired image"),
    )
)


def _exclusions(facts: HeaderFacts) -> Iterator[str]:
    """Reasons why a series cannot be one of the four."""
    yield from (f"{_NOT_ANATOMICAL[v]} (Image Type {v})" for v in facts.image_type if v in _NOT_ANATOMICAL)
    if not facts.monochrome:
        yield "not a plain greyscale image"
    if facts.diffusion > 0 or facts.declared == "DIFFUSION":
        yield "diffusion-weighted (b-value in the header)"
    if facts.angio or facts.declared in ("TIME_OF_FLIGHT", "FLOW_ENCODED"):
        yield "an angiogram (Angio Flag)"
    if "EP" in facts.scanning or re.search(r"\*?ep(2d|_b|fid|se)", facts.sequence_name):
        yield "echo-planar: diffusion, perfusion or functional imaging"
    if re.search(r"\*?(ci3d|tfi)", facts.sequence_name):
        yield "balanced steady state, another contrast than the four"
    if facts.declared in ("PERFUSION", "PROTON_DENSITY", "STIR", "T2_STAR"):
        yield f"Acquisition Contrast {facts.declared}"
    words = normalised(facts.description)
    yield from (f"{reason} (by its description)" for pattern, reason in _TEXT_EXCLUSIONS if pattern.search(words))
    yield from _physical_exclusions(facts)


def _physical_exclusions(facts: HeaderFacts) -> Iterator[str]:
    echo, repetition, inversion = facts.echo_ms, facts.repetition_ms, facts.inversion_ms
    if echo is None or repetition is None:
        return
    if inversion is not None and inversion < 300 and "GR" not in facts.scanning:
        yield f"STIR: inversion time {inversion:g} ms nulls fat"
    if facts.scanning == {"GR"} and echo >= 14:
        yield f"T2*-weighted: gradient echo with echo time {echo:g} ms"
    plain = inversion is None and not facts.scanning & {"GR", "IR", "RM"} and "MP" not in facts.variant
    if plain and facts.scanning and echo < 45 and repetition >= 1800 and not re.search(r"\bt1", normalised(facts.description)):
        yield f"proton density: echo time {echo:g} ms and repetition time {repetition:g} ms"


def _attribute_votes(facts: HeaderFacts) -> Iterator[_Vote]:
    """Weighting by the physics of the pulse sequence (Bernstein, Handbook of MRI Pulse Sequences, 2004, ch. 11, 12, 14).

    A FLAIR nulls fluid, whose T1 is about 4 s: inversion time 1.5-3 s and a long echo. T1 weighting needs a short echo and
    either a short repetition time or an inversion prepared gradient echo (MPRAGE, 0.4-1.3 s); T2 weighting needs both long.
    """
    declared = {"T1": MRSequence.T1, "T2": MRSequence.T2, "FLUID_ATTENUATED": MRSequence.FLAIR}.get(facts.declared)
    if declared:
        yield _Vote(declared, NAMED, f"Acquisition Contrast {facts.declared}")
    numbers = ", ".join(
        f"{name} {value:g} ms"
        for name, value in (("TE", facts.echo_ms), ("TR", facts.repetition_ms), ("TI", facts.inversion_ms))
        if value is not None
    )
    if facts.echo_ms is not None and (vote := _long_echo(facts, numbers) or _short_echo(facts, numbers)):
        yield vote
    if re.search(r"tfl3d|mprage|fspgr|bravo|t1tfe", facts.sequence_name):
        yield _Vote(MRSequence.T1, WEAK, "the pulse sequence is one used for T1")


def _long_echo(facts: HeaderFacts, numbers: str) -> _Vote | None:
    """T2 or FLAIR by whether fluid is nulled before a long echo."""
    repetition, inversion = facts.repetition_ms or 0.0, facts.inversion_ms
    if (facts.echo_ms or 0.0) < 60:
        return None
    if inversion is not None:
        nulls_fluid = _Vote(MRSequence.FLAIR, STRONG, f"long echo after an inversion that nulls fluid ({numbers})")
        return nulls_fluid if inversion >= 1500 else None
    if _inverted(facts) and repetition >= 4000:
        return _Vote(MRSequence.FLAIR, STRONG, f"long echo in an inversion recovery sequence ({numbers})")
    if _FLAIR.search(normalised(facts.description)):
        return _Vote(MRSequence.FLAIR, WEAK, f"long echo; the header does not give the inversion time ({numbers})")
    return _Vote(MRSequence.T2, STRONG, f"long echo and repetition time ({numbers})") if repetition >= 1500 else None


def _short_echo(facts: HeaderFacts, numbers: str) -> _Vote | None:
    """T1 by a short echo with either a short repetition time or an inversion for T1 contrast."""
    echo, repetition, inversion = facts.echo_ms or 0.0, facts.repetition_ms, facts.inversion_ms
    if echo >= 35:
        return None
    if repetition is not None and repetition <= 1200:
        return _Vote(MRSequence.T1, STRONG, f"short echo and repetition time ({numbers})")
    if inversion is not None and 300 <= inversion < 1500:
        return _Vote(MRSequence.T1, STRONG, f"short echo after an inversion for T1 contrast ({numbers})")
    prepared = "MP" in facts.variant or "tfl" in facts.sequence_name
    if echo < 12 and facts.scanning & {"GR", "RM"} and prepared:
        return _Vote(MRSequence.T1, STRONG, f"magnetisation-prepared gradient echo with short echo time ({numbers})")
    return None


def _inverted(facts: HeaderFacts) -> bool:
    return "IR" in facts.scanning or bool(re.search(r"tir|spcir|flair", facts.sequence_name))


_T1 = re.compile(r"\bt1|\b(mp ?rage|bravo|i?r? ?fspgr|spgr|vibe|mdeft|tfl|thrive)\b|\b3d ?tfe\b")
_T2 = re.compile(r"\bt2")
_FLAIR = re.compile(r"flair|\bdark ?fl|\btirm\b|fluid att|\bt2f\b|\bir ?tse\b")
_AFTER = re.compile(
    r"\+ ?(c|k|kontrast|gad?o?|gd|cm|km|mdc)\b|\bc ?\+|\bpost(?! ?(fossa|op\b))\b|造影|"
    r"\b(postcontrast|postgad\w*|gd|gad|gado\w*|ce|t1w? ?(ce|c|gd)|contrast\w*|kontrast\w*|km|mdc|inj\w*|apres|enhanced|"
    r"dotarem|magnevist|prohance|multihance|clariscan)\b"
)
_BEFORE = re.compile(
    r"\b(pre|precontrast|pregad\w*|nativ\w*|ohne|without|w ?o|sans|senza|sin|non ?contrast|noncon\w*|non ?enhanced|unenhanced|"
    r"plain|no (gad\w*|contrast|gd)|avant|vor|before)\b|\bc ?-(?= |$)|(?<= )- ?c\b|単純|造影前"
)


def _text_votes(facts: HeaderFacts) -> Iterator[_Vote]:
    words = normalised(facts.description)
    if not words:
        return
    quoted = "the description says"
    if _FLAIR.search(words):
        # 'T1 FLAIR' is a T1-weighted inversion recovery sequence; its numbers decide when they are there.
        if re.search(r"\bt1\b", words):
            yield _Vote(MRSequence.T1, NAMED, f"{quoted} T1 FLAIR")
        else:
            yield _Vote(MRSequence.FLAIR, NAMED, f"{quoted} FLAIR or dark fluid")
        return
    if _T1.search(words):
        yield _Vote(MRSequence.T1, NAMED, f"{quoted} T1")
    if _T2.search(words):
        yield _Vote(MRSequence.T2, NAMED, f"{quoted} T2")


def _agent_by_text(description: str) -> bool | None:
    """What the description says about contrast agent; words for 'before' win, since 'pre contrast' holds both."""
    words = normalised(description)
    if _BEFORE.search(words):
        return False
    return True if _AFTER.search(words) else None


def normalised(description: str) -> str:
    """Lower case with separators as single spaces; ``+`` and ``-c`` keep their meaning.

    >>> normalised("T1_MPRAGE-SAG.iso +C")
    't1 mprage sag iso +c'
    """
    words = re.sub(r"[_/.,;:()\[\]]+", " ", description.lower().replace("é", "e").replace("è", "e"))
    words = re.sub(r"(?<=\w)-(?=\w{2,})", " ", words)
    return re.sub(r"\s+", " ", words).strip()
