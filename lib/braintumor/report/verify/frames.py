"""Which concepts a reworded sentence may add to our own or leave out, because the statement implies them anyway."""

from __future__ import annotations

from dataclasses import dataclass

from braintumor.report.statements import Quantity, Statement


@dataclass(frozen=True, slots=True)
class Soft:
    """A concept that some statements imply.

    Attributes
    ----------
    messages
        Starts of the ids of these statements; all where empty.
    arguments, unit
        It is implied where one of these arguments is there, or a quantity of this unit.
    leave_out
        Whether it may be left out too.
    """

    concept: str
    messages: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    unit: str = ""
    leave_out: bool = True


SOFT: tuple[Soft, ...] = (
    Soft("volume", unit="mL"),
    Soft("diameter", arguments=("longest",)),
    Soft("longest", ("lesion",), ("longest",), leave_out=False),
    Soft("perpendicular", ("lesion",), ("longest",), leave_out=False),
    *(Soft(c, arguments=("before",)) for c in ("earlier", "now", "since", "study", "this-study", "compared")),
    *(Soft(c, ("lesion-",), ("now",)) for c in ("earlier", "now", "since", "study", "this-study", "compared")),
    Soft("since", ("prior", "no-prior")),
    Soft("change", ("change-",)),
    Soft("lesion", arguments=("name",)),
    Soft("segmented", arguments=("region",), leave_out=False),
    Soft("segmented", ("lesion-count", "impression-enhancement", "impression-tumour", "lobes-"), leave_out=False),
    Soft("separate", ("lesion-count",)),
    Soft("notes", ("note-sentence", "request-reason")),
    Soft("mr-sequence", arguments=("sequences", "sequence", "reference")),
    Soft("alike", arguments=("reference",)),
    Soft("header", ("aligned-same-frame",), leave_out=False),
    Soft("this-study", ("prior", "no-prior")),
    Soft("study", ("prior", "no-prior")),
    Soft("meet", ("impression-response",)),
    Soft("category", ("impression-response",)),
    Soft("taken", ("axial-slices",)),
    Soft("made", ("diagnosis-by-people", "sequences-missing"), leave_out=False),
    Soft("shift", arguments=("shift",)),
    Soft("turn", arguments=("turn",)),
    Soft("earlier", ("prior",), leave_out=False),
    Soft("expected", ("prior-alignment",), leave_out=False),
    Soft("available", ("no-clinical",), leave_out=False),
    Soft("should", ("recommend-",)),
    Soft("please", ("recommend-",)),
    Soft("response-category", ("recommend-inputs",)),
    Soft("without-it", ("sequences-missing",)),
    Soft("with", arguments=("reference",)),
    Soft("segmented", ("impression-new-lesions",), leave_out=False),
    Soft("age", arguments=("age",)),
    Soft("size", unit="mL"),
    Soft("size", arguments=("longest",)),
    Soft("any-number", arguments=("slice", "number")),
    Soft("only", ("diagnosis-by-people",)),
    Soft("the-following", ("sequences-used", "request-reason", "note-sentence", "recommend-"), leave_out=False),
    Soft("any", ("no-", "impression-no-", "diagnosis-nothing", "recommend-review"), leave_out=False),
    Soft("data", ("recommend-inputs", "note-sentence"), leave_out=False),
    Soft("supplied", ("no-clinical", "request-reason", "aligned-"), leave_out=False),
    Soft("request", ("no-clinical", "request-reason"), leave_out=False),
    Soft("study", ("no-clinical", "request-reason"), leave_out=False),
    Soft("this-study", ("no-clinical", "request-reason", "sequences-"), leave_out=False),
    Soft("requested", ("request-reason",), leave_out=False),
    Soft("had-gone", ("lesion-returned",), leave_out=False),
    Soft("describe", ("request-reason",), leave_out=False),
    Soft("made", ("request-reason", "prior", "no-", "lobes-", "axial-"), leave_out=False),
    Soft("used", ("prior", "no-prior", "aligned-same-grid", "lobes-", "axial-"), leave_out=False),
    Soft("add", ("no-prior", "sequences-used"), leave_out=False),
    Soft("alike", ("no-clinical",), leave_out=False),
    Soft("analysis", ("sequences-used",), leave_out=False),
    Soft("in-total", arguments=("count",), leave_out=False),
    Soft("any-number", arguments=("count",), leave_out=False),
    Soft("extends", arguments=("side", "longest"), leave_out=False),
    Soft("whole-of-it", ("confidence",), leave_out=False),
    Soft("this-report", ("diagnosis-by-people", "disclaimer"), leave_out=False),
    Soft("software", ("disclaimer",), leave_out=False),
    Soft("images", arguments=("longest",), leave_out=False),
    Soft("result", ("lobes-",), leave_out=False),
    Soft("needed", ("recommend-",), leave_out=False),
    Soft("with", ("no-prior", "prior", "lesion-merged", "lobes-", "confidence"), leave_out=False),
    Soft("earlier", ("no-prior",), leave_out=False),
    Soft("segmented", arguments=("name",), leave_out=False),
)


def soft(statement: Statement) -> tuple[frozenset[str], frozenset[str]]:
    """Concepts that may be added, and those that may be left out."""
    found = [entry for entry in SOFT if _applies(entry, statement)]
    return frozenset(e.concept for e in found), frozenset(e.concept for e in found if e.leave_out)


def _applies(entry: Soft, statement: Statement) -> bool:
    if entry.messages and not statement.message.startswith(entry.messages):
        return False
    if entry.arguments:
        return any(name in statement.arguments for name in entry.arguments)
    if entry.unit:
        return any(isinstance(a, Quantity) and a.unit == entry.unit for a in statement.arguments.values())
    return True
