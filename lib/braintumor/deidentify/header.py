"""A data set without what identifies: every attribute by the profile, in sequences too, with a ledger of what was done."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pydicom.datadict import get_private_entry, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import UID

from braintumor.deidentify import coded
from braintumor.deidentify.dates import capped_age, shifted
from braintumor.deidentify.keys import Key
from braintumor.deidentify.profile import DeidentifyOptions, TagAction, action_of, when_empty
from braintumor.deidentify.words import clean_words
from braintumor.study.index import DECODING_ERRORS, text

_DUMMIES: dict[str, Any] = {
    **dict.fromkeys(("LO", "SH", "ST", "LT", "UC", "UT", "PN", "CS", "AE"), "REMOVED"),
    "DA": "19000101",
    "TM": "000000",
    "DT": "19000101000000",
    "AS": "",
    "IS": "0",
    "DS": "0",
    "OB": b"\0\0",
    "SQ": [],
}
_CODE_STRING = re.compile(r"[A-Z0-9 _]{0,16}")
_PUBLIC_ROOTS = ("2.16.840.1.113883.6.",)  # HL7's registry of coding schemes
_SHORTEST_NAME = 2
_PEOPLE = (
    "PatientName",
    "PatientID",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "NameOfPhysiciansReadingStudy",
    "RequestingPhysician",
)


@dataclass
class HeaderChanges:
    """What was done, without any value.

    Attributes
    ----------
    attributes
        Keyword (tag for unknown attributes) -> action -> how often.
    private
        Private creator -> number of its attributes that were removed; creators that are not publicly known under one name.
    """

    attributes: dict[str, Counter[str]] = field(default_factory=dict)
    private: Counter[str] = field(default_factory=Counter)

    def note(self, tag: BaseTag, action: TagAction) -> None:
        """Count one attribute."""
        name = keyword_for_tag(tag) or f"{int(tag):08X}"
        self.attributes.setdefault(name, Counter())[action.value] += 1


@dataclass(frozen=True)
class Cleaner:
    """Cleans the data sets of one patient.

    Attributes
    ----------
    identity
        What pseudonym and shift follow from (`identity_of`).
    uids
        Filled with new UID -> original.
    """

    key: Key
    options: DeidentifyOptions
    identity: str = field(repr=False)
    ledger: HeaderChanges
    uids: dict[str, str] = field(repr=False)

    def clean(self, dataset: Dataset) -> Dataset:
        """A new data set without group 2; the given one is not changed. Pixel data is passed on as it is."""
        result = self._cleaned(dataset, _names(dataset))
        result.SpecificCharacterSet = "ISO_IR 192"
        result.PatientName = result.PatientID = self.key.pseudonym(self.identity)
        return result

    def uid(self, original: str) -> str:
        """The UID that stands for an original; what DICOM itself registered (classes, syntaxes, codes) stays."""
        original = original.strip(" \0")
        if not original or UID(original).name != original or original.startswith(_PUBLIC_ROOTS):
            return original
        new = self.key.uid(original)
        self.uids[new] = original
        return new

    def _cleaned(self, dataset: Dataset, names: frozenset[str]) -> Dataset:
        result = Dataset()
        code = coded.cleaned_code(dataset, names) if coded.is_code(dataset) else {}
        for tag in dataset.keys():  # noqa: SIM118 - iterating a Dataset would convert, and stop at, bad values
            if code and keyword_for_tag(tag) in coded.FIELDS:
                continue
            try:
                self._element(dataset, dataset[tag], result, names)
            except DECODING_ERRORS:  # a value that contradicts its type cannot be judged
                self.ledger.note(tag, TagAction.REMOVE)
        for keyword, value in code.items():
            setattr(result, keyword, value)
        return result

    def _element(self, dataset: Dataset, element: DataElement, result: Dataset, names: frozenset[str]) -> None:
        tag = element.tag
        if tag.is_private:
            self._private(dataset, tag)
            return
        if tag.group <= 2 or tag == 0x00080005 or tag.element == 0:
            return
        action = action_of(tag, element.VR, self.options)
        value: Any = element.value
        if element.keyword in ("PatientID", "PatientName"):
            action, value = TagAction.DUMMY, self.key.pseudonym(self.identity)
        elif action is TagAction.REMAP:
            value = _each(value, self.uid)
            action = TagAction.KEEP if value == element.value else action
        elif action in (TagAction.CLEAN, TagAction.KEEP):
            action, value = self._kept(element, action, names)
        elif action is TagAction.DUMMY:
            value = _dummy(element)
        if action is TagAction.EMPTY:
            value = [] if element.VR == "SQ" else None
        if action is not TagAction.REMOVE:
            result.add_new(tag, element.VR, value)
        self.ledger.note(tag, action)

    def _kept(self, element: DataElement, action: TagAction, names: frozenset[str]) -> tuple[TagAction, Any]:
        """An attribute that stays, as far as it may."""
        vr, value = element.VR, element.value
        if vr == "SQ":
            return TagAction.CLEAN, [self._cleaned(item, names) for item in value]
        if element.is_empty:
            return TagAction.KEEP, value
        if vr == "CS" and not all(_CODE_STRING.fullmatch(str(v)) for v in _values(value)):
            return TagAction.REMOVE, None
        if vr == "AS":
            new = _each(value, capped_age)
        elif action is TagAction.KEEP:
            return action, value
        elif vr in ("DA", "TM", "DT"):
            days = self.key.shift_days(self.identity)
            new = _each(value, lambda v: shifted(v, vr, days))
        else:
            new = _each(value, lambda v: clean_words(v, element.keyword, names))
        if any(_values(new)):
            return (TagAction.KEEP if new == value else TagAction.CLEAN), new
        instead = when_empty(element.tag)
        return instead, _dummy(element) if instead is TagAction.DUMMY else None

    def _private(self, dataset: Dataset, tag: BaseTag) -> None:
        if tag.is_private_creator:
            return
        owner = dataset.get((tag.group, tag.element >> 8))
        creator = "" if owner is None else str(owner.value)
        try:
            get_private_entry(tag, creator)
        except KeyError:  # the name of an unknown creator may say who wrote it
            creator = "of a creator that is not publicly known"
        self.ledger.private[creator] += 1


def identity_of(dataset: Dataset) -> str:
    """What tells a patient from others: the ID, else name and birth date; as `braintumor.study` does it."""
    patient = text(dataset, "PatientID")
    return patient or "\0".join(("", text(dataset, "PatientName"), text(dataset, "PatientBirthDate")))


def _names(dataset: Dataset) -> frozenset[str]:
    """Words of the names in a header, lower case."""
    words = " ".join(text(dataset, keyword) for keyword in _PEOPLE).lower()
    return frozenset(w for w in re.split(r"[\W_]+", words) if len(w) >= _SHORTEST_NAME)


def _values(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (MultiValue, list)) else [value]


def _each(value: Any, change: Any) -> Any:
    if isinstance(value, (MultiValue, list)):
        return [change(str(v)) for v in value]
    return change(str(value)) if value is not None else value


def _dummy(element: DataElement) -> Any:
    return _DUMMIES.get(element.VR)
