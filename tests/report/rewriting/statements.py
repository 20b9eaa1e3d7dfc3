"""Statements by name, of every message, for sentences that are written by hand about them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from braintumor.domain import Findings, Section
from braintumor.report.statements import Argument, Quantity, Statement, Term, Verbatim, state
from tests.reports import FACTORIES


def ml(value: float) -> Quantity:
    return Quantity(value, "mL")


def mm(value: float) -> Quantity:
    return Quantity(value, "mm")


def share(value: float) -> Quantity:
    return Quantity(value, "percent", 0)


def region(key: str) -> Term:
    return Term("region", key)


def side(key: str) -> Term:
    return Term("side", key)


def lobe(key: str) -> Term:
    return Term("lobe", key)


def sequences(*keys: str) -> tuple[Term, ...]:
    return tuple(Term("sequence", key) for key in keys)


def _change(key: str, before: float, now: float, percent: float | None = None) -> dict[str, Argument]:
    found: dict[str, Argument] = {"region": region(key), "before": ml(before), "now": ml(now), "ml": ml(abs(now - before))}
    return found if percent is None else found | {"percent": share(percent)}


def _volume(key: str, voxels: float, simpson: float) -> dict[str, Argument]:
    return {"region": region(key), "volume": ml(voxels), "simpson": ml(simpson)}


def _diameters(key: str, longest: float, perpendicular: float, product: float, number: int) -> dict[str, Argument]:
    return {
        "region": region(key),
        "longest": mm(longest),
        "perpendicular": mm(perpendicular),
        "product": Quantity(product, "mm2", 0),
        "slice": number,
    }


def _lesion(number: int, wt: float, et: float, where: str, longest: float, perpendicular: float) -> dict[str, Argument]:
    sizes: dict[str, Argument] = {"longest": mm(longest), "perpendicular": mm(perpendicular)}
    return {"number": number, "wt": ml(wt), "et": ml(et), "side": side(where)} | sizes


def _place(key: str, where: str, what: str, part: float) -> dict[str, Argument]:
    return {"region": region(key), "side": side(where), "lobe": lobe(what), "share": share(part)}


_NAMED: Mapping[str, Mapping[str, Argument]] = {
    "patient-age-sex": {"age": Quantity(65, "year", 0), "sex": Term("sex", "M")},
    "patient-age-sex/woman": {"age": Quantity(47, "year", 0), "sex": Term("sex", "F")},
    "request-reason": {"reason": Verbatim("Headache for 3 weeks, ?SOL left frontal")},
    "note-sentence": {
        "topic": Term("topic", "surgery"),
        "text": Verbatim("Gross total resection on 12.01.2024, no residual tumour."),
        "where": Verbatim("discharge.pdf, p. 2"),
    },
    "note-sentence/drugs": {
        "topic": Term("topic", "drugs"),
        "text": Verbatim("Dexamethasone 4 mg twice daily."),
        "where": Verbatim("clinic letter.txt"),
    },
    "no-clinical-information": {},
    "sequences-used": {"count": 4, "sequences": sequences("t1", "t1ce", "t2", "flair")},
    "sequences-used/two": {"count": 2, "sequences": sequences("t1ce", "flair")},
    "sequences-used/one": {"count": 1, "sequences": sequences("t1ce")},
    "sequences-missing": {"count": 1, "sequences": sequences("t2")},
    "sequences-missing/two": {"count": 2, "sequences": sequences("t1", "flair")},
    "aligned-same-grid": {"count": 2, "sequences": sequences("t1", "flair"), "reference": Term("sequence", "t1ce")},
    "aligned-same-grid/one": {"count": 1, "sequences": sequences("t2"), "reference": Term("sequence", "t1ce")},
    "aligned-same-frame": {"count": 2, "sequences": sequences("t1", "t2"), "reference": Term("sequence", "t1ce")},
    "aligned-same-frame/one": {"count": 1, "sequences": sequences("flair"), "reference": Term("sequence", "t1ce")},
    "aligned-rigid": {
        "sequence": Term("sequence", "flair"),
        "reference": Term("sequence", "t1ce"),
        "shift": mm(3.4),
        "turn": Quantity(1.7, "degree"),
    },
    "mask-by-model": {"model": Verbatim("braintumor-unet 0.3.0")},
    "mask-by-person": {},
    "no-prior": {},
    "prior": {"date": date(2024, 3, 1), "days": Quantity(92, "day", 0)},
    "prior/other": {"date": date(2025, 11, 23), "days": Quantity(77, "day", 0)},
    "prior-without-date": {},
    "prior-alignment": {"error": mm(1.2)},
    "no-region": {"region": region("ET")},
    "no-region/NCR": {"region": region("NCR")},
    "volume-of": _volume("WT", 45.2, 44.1),
    "volume-of/ET": _volume("ET", 12.6, 12.3),
    "volume-of/NCR": _volume("NCR", 3.8, 3.5),
    "volume-of/ED": _volume("ED", 28.8, 27.9),
    "volume-of/large": _volume("WT", 1234.5, 1230.1),
    "place-of": {"region": region("TC"), "side": side("both")},
    "place-of/midline": {"region": region("WT"), "side": side("midline")},
    "place-of-lobe": _place("WT", "left", "frontal", 62),
    "place-of-lobe/right": _place("ET", "right", "temporal", 81),
    "diameters-of": _diameters("WT", 52.3, 40.1, 2097, 41),
    "diameters-of/ET": _diameters("ET", 31.4, 22.8, 716, 17),
    "diameters-of/large": _diameters("TC", 71.5, 55.1, 3939, 88),
    "lesion-count": {"count": 3},
    "lesion": _lesion(2, 3.1, 1.2, "left", 21.3, 14.2),
    "lesion/right": _lesion(1, 18.7, 9.4, "right", 41.9, 30.6),
    "confidence": {"region": region("WT"), "share": share(93)},
    "confidence/ET": {"region": region("ET"), "share": share(78)},
    "change-grown": _change("WT", 30.4, 45.2, 49),
    "change-grown/ET": _change("ET", 8.1, 12.6, 56),
    "change-shrunk": _change("ET", 12.6, 8.1, 36),
    "change-shrunk/TC": _change("TC", 25.9, 17.3, 33),
    "change-grown-absolute": _change("ET", 0.0, 2.7),
    "change-shrunk-absolute": _change("TC", 6.4, 0.0),
    "change-none": {"region": region("WT"), "before": ml(45.2), "now": ml(45.9)},
    "change-none/ED": {"region": region("ED"), "before": ml(28.8), "now": ml(28.1)},
    "lesion-present": {"name": Verbatim("Lesion 1"), "now": ml(18.7)},
    "lesion-new": {"name": Verbatim("Lesion 3"), "now": ml(1.4)},
    "lesion-returned": {"name": Verbatim("Lesion 2"), "now": ml(2.2)},
    "lesion-grown": {"name": Verbatim("Lesion 1"), "before": ml(10.2), "now": ml(18.7)},
    "lesion-shrunk": {"name": Verbatim("Lesion 2"), "before": ml(5.6), "now": ml(3.1)},
    "lesion-split": {"name": Verbatim("Lesion 1"), "before": ml(10.2), "now": ml(7.9)},
    "lesion-merged": {"name": Verbatim("Lesion 2"), "before": ml(5.6), "now": ml(0.0)},
    "lesion-resolved": {"name": Verbatim("Lesion 3"), "before": ml(1.4), "now": ml(0.0)},
    "impression-no-tumour": {},
    "impression-tumour": {"volume": ml(45.2)},
    "impression-tumour-side": {"volume": ml(45.2), "side": side("midline")},
    "impression-tumour-side-lobe": {"volume": ml(45.2), "side": side("left"), "lobe": lobe("frontal")},
    "impression-tumour-side-lobe/deep": {"volume": ml(20.8), "side": side("right"), "lobe": lobe("deep")},
    "impression-enhancement": {"volume": ml(12.6)},
    "impression-no-enhancement": {},
    "impression-new-lesions": {"count": 2},
    "impression-new-lesions/one": {"count": 1},
    "impression-response": {"category": Term("response", "PD")},
    "impression-response/PR": {"category": Term("response", "PR")},
    "impression-response-open": {"category": Term("response", "PD")},
    "impression-response-open/SD": {"category": Term("response", "SD")},
    "diagnosis-open": {},
    "diagnosis-nothing": {},
    "diagnosis-by-people": {},
    "recommend-review": {},
    "recommend-flags": {"count": 2},
    "recommend-flags/one": {"count": 1},
    "recommend-sequences": {"count": 2, "sequences": sequences("t1", "t2")},
    "recommend-overlay": {},
    "recommend-confirmation": {},
    "recommend-inputs": {"inputs": (Term("input", "clinical-status"), Term("input", "corticosteroid-dose"))},
    "recommend-inputs/one": {"inputs": (Term("input", "baseline-scan"),)},
    "disclaimer": {},
    "by-algorithm": {},
    "describes-mask": {},
    "axial-slices": {"spacing": mm(1.0)},
    "axial-slices/thick": {"spacing": mm(5.5)},
    "lobes-approximate": {},
    "rigid-only": {},
}


def _section(message: str) -> Section:
    """Only whether a model may be given it depends on this."""
    return Section.RECOMMENDATIONS if message.startswith("recommend") else Section.FINDINGS


STATEMENTS: dict[str, Statement] = {
    name: Statement(_section(name), name.split("/")[0], dict(arguments), name) for name, arguments in _NAMED.items()
}
"""By message, with a word after a slash where there are several of one."""


def findings_of_reports() -> dict[str, Findings]:
    """Findings of the synthetic reports by the report's name."""
    return {name: make().findings for name, make in FACTORIES.items()}


def of_reports() -> tuple[Statement, ...]:
    """All statements of the ten synthetic reports, equal ones once."""
    found = {repr((s.message, s.arguments)): s for findings in findings_of_reports().values() for s in state(findings)}
    return tuple(found.values())
