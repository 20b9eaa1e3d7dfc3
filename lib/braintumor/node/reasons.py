"""What the codes of failures mean, and what to do: words for people, in which nothing of a study stands."""

from __future__ import annotations

from braintumor.domain import BrainTumorError
from braintumor.node.deliver.faults import Fault
from braintumor.node.states import Reason

_OF_THE_NODE: dict[str, tuple[str, str]] = {
    Reason.CRASHED: (
        "a worker ended without an answer, several times",
        "Look for worker-lost in the log; give the workers more memory, then retry",
    ),
    Reason.TOO_LONG: ("the study took longer than allowed", "Raise work.limit_s or use a faster machine, then retry"),
    Reason.UNEXPECTED: ("an error that nobody foresaw", "Retry; if it fails again, report it with the log"),
    Reason.NOT_DELIVERED: (
        "a destination did not take the results",
        "See the destination's last failure, mend it, then retry: the results are kept and nothing is computed again",
    ),
    Reason.DATA_MISSING: (
        "a file that was received is gone from the disk, or altered",
        "Examine the disk, send the study again, then retry",
    ),
}

_OF_DESTINATIONS: dict[str, tuple[str, str]] = {
    Fault.UNREACHABLE: ("it does not answer", "See that it runs, and its address in the settings"),
    Fault.REJECTED: ("it does not let this node in", "Check AE titles, certificate, user and password on both sides"),
    Fault.NO_SPACE: ("it is out of resources", "Free space there; the node tries again by itself"),
    Fault.INTERRUPTED: ("the connection was lost on the way", "The node tries again by itself"),
    Fault.FAILED: ("it could not store an instance", "See its log; the node tries again by itself"),
    Fault.NOT_KEPT: ("it took the results and does not have them", "See its log; the node sends them again by itself"),
    Fault.NOT_CONFIRMED: ("it took the results and did not say whether it keeps them", "The node asks again by itself"),
    Fault.CANNOT_CONFIRM: ("it cannot confirm in the way that is asked of it", "Choose another verify in the settings"),
    Fault.NOT_ACCEPTED: ("it does not take such objects", "Enable DICOM SEG and SR there, or change send; then retry"),
    Fault.REFUSED: ("it refused the results themselves", "See its log for the reason, mend it, then retry"),
}

_OURS = _OF_DESTINATIONS | _OF_THE_NODE
_SEND_AGAIN = "Send the study again from its source: the node takes it up by itself"
_REMEDIES: dict[str, str] = {
    "missing-sequence": "Send the missing series: the node takes the study up by itself",
    "ambiguous-sequence": "Exclude the series that is not meant by a rule in the settings, then retry",
    "corrupt-file": _SEND_AGAIN,
    "input-not-found": _SEND_AGAIN,
    "unsafe-geometry": "See whether all slices of the series were sent; if it was scanned so, segment it by hand",
    "unusable-image": "Export the series again, or segment the study by hand",
    "not-mr": "Ignore such series by a rule in the settings",
    "mixed-patients": "Correct the study in the PACS, then send it again",
    "registration": "The series do not fit together: see whether they are of one visit, or segment the study by hand",
    "weights": "Install the model again, then retry",
    "engine": "Choose another engine in the settings, or install it, then retry",
    "output": "Free space on the node's disk, then retry",
    "database": "See that the database runs; work goes on by itself",
}


def words(code: str) -> str:
    """The meaning of a reason's code; the code itself where it has none."""
    if code in _OURS:
        return _OURS[code][0]
    return _meanings().get(code, code)


def remedy(code: str) -> str:
    """What an operator can do about it; empty without a code."""
    if code in _OURS:
        return _OURS[code][1]
    return _REMEDIES.get(code, "Look for the study in the log, then retry") if code else ""


def _meanings() -> dict[str, str]:
    found, waiting = {}, [BrainTumorError]
    while waiting:
        kind = waiting.pop()
        found[kind.code] = kind.meaning
        waiting += kind.__subclasses__()
    return found
