"""Which sequence a header describes: several vendors, several languages, and the many things that are none of the four."""

from __future__ import annotations

from dataclasses import replace

import pytest

from braintumor.domain import MRSequence
from braintumor.study.classify import classify
from braintumor.study.facts import HeaderFacts

SE, GR, IR, EP = frozenset({"SE"}), frozenset({"GR"}), frozenset({"IR"}), frozenset({"EP"})

T1_SE = HeaderFacts(echo_ms=12, repetition_ms=550, scanning=SE)
MPRAGE = HeaderFacts(echo_ms=2.9, repetition_ms=1900, inversion_ms=900, scanning=GR | IR, variant=frozenset({"MP"}))
T2_TSE = HeaderFacts(echo_ms=95, repetition_ms=4500, scanning=SE)
FLAIR = HeaderFacts(echo_ms=120, repetition_ms=9000, inversion_ms=2500, scanning=SE | IR)


def described(facts: HeaderFacts, description: str, **changes: object) -> HeaderFacts:
    return replace(facts, description=description, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "sequence"),
    [
        (T1_SE, MRSequence.T1),
        (MPRAGE, MRSequence.T1),
        (described(MPRAGE, "", inversion_ms=None), MRSequence.T1),  # Siemens MPRAGE whose TI was stripped
        (HeaderFacts(echo_ms=3.2, repetition_ms=8.2, scanning=GR), MRSequence.T1),  # GE BRAVO
        (HeaderFacts(echo_ms=24, repetition_ms=2200, inversion_ms=860, scanning=SE | IR), MRSequence.T1),  # GE T1 FLAIR
        (T2_TSE, MRSequence.T2),
        (HeaderFacts(echo_ms=408, repetition_ms=3200, scanning=SE), MRSequence.T2),  # SPACE
        (FLAIR, MRSequence.FLAIR),
        (HeaderFacts(echo_ms=388, repetition_ms=4800, inversion_ms=1650, scanning=SE | IR), MRSequence.FLAIR),  # 3D FLAIR
        (HeaderFacts(echo_ms=120, repetition_ms=11000, scanning=IR), MRSequence.FLAIR),  # inversion time stripped
        (HeaderFacts(echo_ms=120, repetition_ms=9000, sequence_name="*tir2d1_17"), MRSequence.FLAIR),
        (HeaderFacts(declared="FLUID_ATTENUATED"), MRSequence.FLAIR),
    ],
)
def test_attributes_alone_decide(facts: HeaderFacts, sequence: MRSequence) -> None:
    evidence = classify(facts).evidence
    assert evidence.sequence is sequence
    assert evidence.reasons


@pytest.mark.parametrize(
    ("description", "sequence"),
    [
        ("T1 MPRAGE +C", MRSequence.T1CE),
        ("AX T1 POST GAD", MRSequence.T1CE),
        ("t1_mpr_tra_KM", MRSequence.T1CE),
        ("T1 SE nach KM", MRSequence.T1CE),
        ("sT1W_3D_TFE GD", MRSequence.T1CE),
        ("T1 apres injection", MRSequence.T1CE),
        ("T1 après gado", MRSequence.T1CE),
        ("3D T1 con contraste", MRSequence.T1CE),
        ("T1 C+ sag", MRSequence.T1CE),
        ("造影 T1", MRSequence.T1CE),
        ("t1c", MRSequence.T1CE),
        ("T1 MPRAGE PRE", MRSequence.T1),
        ("Ax T1 pre-contrast", MRSequence.T1),
        ("t1_se_tra_nativ", MRSequence.T1),
        ("T1 ohne KM", MRSequence.T1),
        ("T1 sans gado", MRSequence.T1),
        ("T1 W/O CONTRAST", MRSequence.T1),
        ("T1 SIN CONTRASTE", MRSequence.T1),
        ("T1 post fossa", MRSequence.T1),
        ("MPRAGE_sag", MRSequence.T1),
        ("T2 TSE tra", MRSequence.T2),
        ("t2_tirm_tra_dark-fluid", MRSequence.FLAIR),
        ("Ax T2 FLAIR", MRSequence.FLAIR),
        ("FLAIR_longTR", MRSequence.FLAIR),
        ("t2 space dark fluid", MRSequence.FLAIR),
        ("Sag T1 FLAIR", MRSequence.T1),
    ],
)
def test_description_alone_decides(description: str, sequence: MRSequence) -> None:
    evidence = classify(HeaderFacts(description=description)).evidence
    assert evidence.sequence is sequence


@pytest.mark.parametrize(
    "facts",
    [
        described(T1_SE, "", image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")),
        described(T2_TSE, "", image_type=("DERIVED", "PRIMARY", "DIFFUSION", "ADC")),
        described(MPRAGE, "", image_type=("DERIVED", "SECONDARY", "PROJECTION IMAGE", "MIP")),
        described(T1_SE, "", image_type=("ORIGINAL", "PRIMARY", "P")),
        described(T2_TSE, "", scanning=EP | SE),
        described(T2_TSE, "", diffusion=1000.0),
        described(T2_TSE, "", sequence_name="*ep_b1000t"),
        described(T1_SE, "", angio=True),
        described(T1_SE, "", monochrome=False),
        described(T2_TSE, "", declared="PERFUSION"),
        HeaderFacts(echo_ms=20, repetition_ms=620, scanning=GR),
        HeaderFacts(echo_ms=14, repetition_ms=3000, scanning=SE),
        HeaderFacts(echo_ms=60, repetition_ms=4000, inversion_ms=160, scanning=SE | IR),
        HeaderFacts(echo_ms=2.5, repetition_ms=5.6, scanning=GR, sequence_name="*ci3d1"),
        *(
            described(T1_SE, text)
            for text in (
                "AAHead_Scout",
                "3-plane loc",
                "ep2d_diff_ADC",
                "SWI Mag",
                "TOF_3D_multi-slab",
                "perf DSC",
                "T2* GRE",
                "t2_star",
                "Sub T1",
                "MIP range",
                "BOLD motor",
                "T1 map",
                "STIR",
            )
        ),
    ],
)
def test_what_is_none_of_the_four_is_left_out_with_a_reason(facts: HeaderFacts) -> None:
    evidence = classify(facts).evidence
    assert evidence.sequence is None
    assert evidence.confidence >= 0.9
    assert len(evidence.reasons) == 1


def test_agreement_is_surer_than_either_alone() -> None:
    both = classify(described(T2_TSE, "T2 TSE")).evidence.confidence
    assert both > classify(T2_TSE).evidence.confidence > classify(HeaderFacts(description="T2 TSE")).evidence.confidence


def test_attributes_outweigh_the_description_but_confidence_drops() -> None:
    evidence = classify(described(FLAIR, "T2 tra")).evidence
    assert evidence.sequence is MRSequence.FLAIR
    assert evidence.confidence <= 0.5
    assert any(reason.startswith("against it") for reason in evidence.reasons)


def test_flair_without_inversion_time_is_believed_by_its_name() -> None:
    assert classify(described(T2_TSE, "Ax FLAIR")).evidence.sequence is MRSequence.FLAIR


def test_nothing_known_is_nothing() -> None:
    assert classify(HeaderFacts(description="series 5")).evidence.sequence is None
    assert classify(HeaderFacts(echo_ms=45, repetition_ms=1500)).evidence.sequence is None


def test_even_contradiction_is_no_answer() -> None:
    evidence = classify(HeaderFacts(description="T1 T2")).evidence
    assert evidence.sequence is None
    assert "contradiction" in evidence.reasons[0]


@pytest.mark.parametrize(
    ("agent", "description", "answer", "known"),
    [
        (True, "", MRSequence.T1CE, True),
        (False, "", MRSequence.T1, False),
        (None, "", MRSequence.T1, None),
        (True, "T1 pre", MRSequence.T1, False),  # the agent field is often left over from an earlier entry
        (None, "T1 post", MRSequence.T1CE, True),
        (False, "T1 post", MRSequence.T1CE, True),
    ],
)
def test_contrast_agent(agent: bool | None, description: str, answer: MRSequence, known: bool | None) -> None:
    verdict = classify(described(T1_SE, description, agent=agent))
    assert verdict.evidence.sequence is answer
    assert verdict.agent is known
    if agent is not None and known is not agent:
        assert verdict.evidence.confidence <= 0.6


def test_agent_in_other_sequences_changes_nothing() -> None:
    assert classify(described(FLAIR, "FLAIR post gad", agent=True)).evidence.sequence is MRSequence.FLAIR
