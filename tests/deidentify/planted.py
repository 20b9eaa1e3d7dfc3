"""A study whose headers are full of secrets, in every place where people put them, and a search for them in any file."""

import shutil
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID

SECRETS = (
    "Zwetschgenbaum",
    "Ottokar",
    "PID-77431902",
    "19431107",
    "ACC5550123",
    "Hildegardis",
    "Quacksalber",
    "Ignaz",
    "MR7COLOGNE",
    "SN-900417",
    "Severinstrasse",
    "0221-555-0188",
    "STORESCP77",
    "ORD-31337",
    "Pfefferminz",
    "https://pacs.hildegardis.example",
)
"""Never in an output, in any encoding."""


def plant(source, folder):
    """Copy a DICOM study with secrets in its headers and file names; returns the copies."""
    shutil.copytree(source, folder)
    copies = []
    for n, path in enumerate(sorted(folder.rglob("*.dcm"))):
        dataset = pydicom.dcmread(path)
        _public(dataset)
        _nested(dataset)
        _private(dataset)
        dataset.preamble = b"Zwetschgenbaum^Ottokar".ljust(128, b"\0")
        dataset.file_meta.SourceApplicationEntityTitle = "STORESCP77"
        named = path.with_name(f"Zwetschgenbaum_{n:04d}.dcm")
        dataset.save_as(named, enforce_file_format=True)
        path.unlink()
        copies.append(named)
    return copies


def _public(d):
    d.PatientName, d.PatientID, d.PatientBirthDate = "Zwetschgenbaum^Ottokar", "PID-77431902", "19431107"
    d.PatientSex, d.PatientAge, d.PatientWeight = "M", "097Y", 71.5
    d.OtherPatientIDs, d.PatientAddress, d.PatientTelephoneNumbers = "PID-77431902", "Severinstrasse 4", "0221-555-0188"
    d.AccessionNumber, d.InstitutionName, d.InstitutionAddress = "ACC5550123", "Hildegardis", "Severinstrasse 1"
    d.ReferringPhysicianName, d.OperatorsName = "Quacksalber^Ignaz", ["Quacksalber^Ignaz", "Ottokar"]
    d.StationName, d.DeviceSerialNumber = "MR7COLOGNE", "SN-900417"
    d.StudyDescription = "MR brain Zwetschgenbaum, call 0221-555-0188"
    d.SeriesDescription = f"{d.SeriesDescription} Ottokar"
    d.ImageComments = "Herr Zwetschgenbaum, geb. 19431107"
    d.PatientComments = "seen by Quacksalber"
    d.AdditionalPatientHistory = "Pfefferminz allergy"
    d.RetrieveAETitle, d.RetrieveURL = "STORESCP77", "https://pacs.hildegardis.example/x"
    d.SequenceName = "*se2d1 Ottokar"
    d["BodyPartExamined"] = DataElement(0x00180015, "CS", "Ottokar", validation_mode=0)
    d.EvaluatorName = "Quacksalber^Ignaz"
    d.InterpretationRecorder = "Ottokar"
    d.add_new(0x00291000 - 0x00010000 + 0x0FFF, "LO", "Zwetschgenbaum")  # an even group that no dictionary knows
    d.add_new(0x60000010, "US", 8)
    d.add_new(0x60003000, "OW", b"Zwetschgenbaum  ")


def _nested(d):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "ORD-31337", "99HILDEGARDIS", "Pfefferminz brain"
    known = Dataset()
    known.CodeValue, known.CodingSchemeDesignator, known.CodeMeaning = "12738006", "SCT", "Brain of Ottokar"
    request = Dataset()
    request.RequestedProcedureID, request.RequestingPhysician = "ORD-31337", "Quacksalber^Ignaz"
    request.RequestedProcedureCodeSequence = [code]
    d.RequestAttributesSequence, d.ProcedureCodeSequence, d.AnatomicRegionSequence = [request], [code], [known]
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = d.SOPClassUID, d.SOPInstanceUID
    reference.PatientID, reference.ContentDate, reference.StudyDescription = "PID-77431902", d.StudyDate, "Ottokar axial"
    d.SourceImageSequence = [reference]
    icon = Dataset()
    icon.Rows = icon.Columns = 4
    icon.BitsAllocated, icon.PixelRepresentation, icon.SamplesPerPixel = 8, 0, 1
    icon.PixelData = b"Zwetschgenbaum  "
    d.IconImageSequence = [icon]
    person = Dataset()
    person.PersonName = "Quacksalber^Ignaz"
    d.ContentSequence = [person]


def _private(d):
    block = d.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", b"Zwetschgenbaum\0\0")
    block = d.private_block(0x0033, "HILDEGARDIS ORDERS", create=True)
    inner = Dataset()
    inner.PatientName = "Zwetschgenbaum^Ottokar"
    block.add_new(0x01, "SQ", [inner])


def uids_of(paths):
    """Every UID in the files that is not DICOM's own."""
    found = set()

    def visit(_, element):
        if element.VR == "UI" and element.value:
            values = [element.value] if isinstance(element.value, str) else element.value
            found.update(str(v) for v in values if UID(v).name == v)

    for path in paths:
        pydicom.dcmread(path, stop_before_pixels=True).walk(visit)
    return found


def leaks(folder, secrets):
    """Secrets in any byte of any file, or in any name, below a folder; case does not matter, UTF-16 is searched too."""
    found = set()
    for path in Path(folder).rglob("*"):
        data = str(path.relative_to(folder)).encode() + (path.read_bytes() if path.is_file() else b"")
        data = data.lower()
        for secret in secrets:
            words = secret.lower()
            if any(words.encode(encoding) in data for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be")):
                found.add(secret)
    return found


def pixels(path):
    """Stored values of a file."""
    return np.array(pydicom.dcmread(path).pixel_array)
