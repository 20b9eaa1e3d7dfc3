"""One object: its pixels checked, its face removed, its header cleaned and marked; or the reason why it stays here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    DeformableSpatialRegistrationStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    RTStructureSetStorage,
    SegmentationStorage,
    SpatialFiducialsStorage,
    SpatialRegistrationStorage,
)

from braintumor.deidentify.burnt import blank, find_text
from braintumor.deidentify.face import FaceRegion
from braintumor.deidentify.header import Cleaner
from braintumor.deidentify.pixels import Stored, native_bytes, stored_values
from braintumor.deidentify.profile import DeidentifyOptions
from braintumor.deidentify.report import Proof, methods
from braintumor.domain import BrainTumorError
from braintumor.study.index import DECODING_ERRORS, MR_IMAGES, text
from braintumor.study.stack import SlicePlane

DERIVED = (
    SegmentationStorage,
    BasicTextSRStorage,
    EnhancedSRStorage,
    ComprehensiveSRStorage,
    Comprehensive3DSRStorage,
    SpatialRegistrationStorage,
    DeformableSpatialRegistrationStorage,
    SpatialFiducialsStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    RTStructureSetStorage,
)
"""What may leave beside MR images: objects whose content is numbers, references and codes."""
_SCREENS = frozenset({"SCREEN SAVE", "SCREENSHOT", "PAINTINGS", "REPORT", "POSDISP"})


@dataclass(frozen=True, eq=False, slots=True)
class Pixels:
    """Stored values (frames, rows, columns) before and after, and per frame what is removed and what is near the brain."""

    original: Stored
    values: Stored
    masks: tuple[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]], ...]


class ExclusionError(Exception):
    """An object stays here; the message is the reason, in plain words and without a value."""


@dataclass
class Tally:
    """What is counted and hashed over the instances of one series."""

    proof: Proof
    before: Any = field(default_factory=hashlib.sha256)
    after: Any = field(default_factory=hashlib.sha256)

    def close(self, *, read_back: bool) -> Proof:
        """The proof, complete; `read_back` where the written files were hashed too."""
        proof = self.proof
        if proof.brain_ml is not None:
            proof.before = self.before.hexdigest()
            proof.after = self.after.hexdigest() if read_back else ""
            proof.face = "removed" if proof.head_voxels else "no face"
        return proof


def kind_of(dataset: Dataset) -> str:
    """Name of the object's class, as DICOM has it; what it does not have is called unknown."""
    uid = UID(text(dataset, "SOPClassUID"))
    return uid.name if uid.name != uid else "unknown class"


def refuse_kind(dataset: Dataset) -> None:
    """Raise `ExclusionError` for objects that may hold text in pixels or documents, or that this program knows nothing of."""
    kind = dataset.get("SOPClassUID")
    if kind in DERIVED:
        return
    if kind not in MR_IMAGES or text(dataset, "Modality") != "MR":
        raise ExclusionError("no MR image and no object made from one: its pixels or its document may show a name")
    if text(dataset, "BurnedInAnnotation").upper() == "YES":
        raise ExclusionError("its header says that text is burnt into its pixels")
    if text(dataset, "ConversionType") or _SCREENS & set(text(dataset, "ImageType").upper().split("\\")):
        raise ExclusionError("a screen shot or secondary capture")
    if int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise ExclusionError("a colour image, whose pixels cannot be checked for text")


def clean_pixels(dataset: Dataset, planes: Seq[SlicePlane] | None, region: FaceRegion | None, tally: Tally) -> Pixels:
    """The pixels of an image without text beside the head and without face.

    Raises
    ------
    ExclusionError
        If there is text on the head or close to the brain, or the pixels cannot be decoded.
    """
    try:
        original = stored_values(dataset)
    except BrainTumorError as error:
        raise ExclusionError("its pixels cannot be decoded") from error
    values = original.copy()
    blanked = [_remove_text(frame) for frame in values]
    masks = _masks(planes, region, original)
    proof, insides, heads = tally.proof, [], 0
    for n, (erased, near) in enumerate(masks):
        frame = values[n]
        if blanked[n] and (frame != original[n])[near].any():
            raise ExclusionError("text seems to be burnt in close to the brain, where it cannot be blanked")
        frame[erased] = background(original[n])
        heads += int(np.count_nonzero(erased & (original[n] > _foreground(original[n]))))
        insides.append(original[n][near].tobytes())
    # nothing is counted for an object that stays here
    for inside in insides:
        tally.before.update(inside)
    proof.slices += len(values)
    proof.head_voxels += heads
    proof.text_slices += sum(count > 0 for count in blanked)
    proof.text_pixels += sum(blanked)
    return Pixels(original, values, masks)


def _masks(
    planes: Seq[SlicePlane] | None, region: FaceRegion | None, values: Stored
) -> tuple[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]], ...]:
    if region is None or planes is None:
        return ()
    return tuple(region.of_plane(plane, (values.shape[1], values.shape[2])) for plane in planes)


def confirm(written: Dataset, pixels: Pixels, tally: Tally) -> None:
    """Hash and count what the written file holds, read back from the disk."""
    for frame, original, (erased, near) in zip(stored_values(written), pixels.original, pixels.masks, strict=False):
        tally.after.update(frame[near].tobytes())
        was = erased & (original > _foreground(original))
        tally.proof.removed_voxels += int(np.count_nonzero(was & (frame == background(original))))


def background(frame: npt.NDArray[Any]) -> Any:
    """The stored value of nothing in a slice: the constant around a stripped brain or a masked head, else 0 or the smallest."""
    corner = frame[0, 0]
    if np.count_nonzero(frame == corner) > 0.3 * frame.size:
        return corner
    return frame.dtype.type(min(0, frame.min()))


def _foreground(frame: npt.NDArray[Any]) -> float:
    """A level between air and tissue."""
    low = float(background(frame))
    return low + 0.1 * (float(np.percentile(frame, 99)) - low)


def _remove_text(frame: npt.NDArray[Any]) -> int:
    """Blank text beside the head, in place; the number of pixels that changed."""
    found = find_text(frame)
    if found.on_head:
        raise ExclusionError("text seems to be burnt in on the head, where it cannot be blanked")
    return blank(frame, found.boxes, background(frame)) if found.boxes else 0


def refuse_segments_of_the_face(dataset: Dataset, planes: Seq[SlicePlane], region: FaceRegion) -> None:
    """Raise `ExclusionError` if a segment reaches into what was removed: its outline would show the face again."""
    try:
        values = stored_values(dataset)
    except BrainTumorError as error:
        raise ExclusionError("its pixels cannot be decoded") from error
    for n, frame in enumerate(values):
        if frame.any() and (frame.astype(bool) & region.of_plane(planes[n], (frame.shape[0], frame.shape[1]))[0]).any():
            raise ExclusionError("a segment reaches into the face")


def refuse_contours_of_the_face(dataset: Dataset, region: FaceRegion) -> None:
    """Raise `ExclusionError` if a contour of a structure set (PS3.3 C.8.8.6) reaches into what was removed."""
    try:
        for roi in dataset.get("ROIContourSequence") or []:
            for contour in roi.get("ContourSequence") or []:
                points = np.array(contour.ContourData, np.float64).reshape(-1, 3)
                if region.erases(points).any():
                    raise ExclusionError("a contour reaches into the face")
    except DECODING_ERRORS as error:
        raise ExclusionError("its contours cannot be read") from error


def finished(
    dataset: Dataset, cleaner: Cleaner, options: DeidentifyOptions, values: Stored | None, *, checked: bool, face: bool
) -> Dataset:
    """The object as it leaves: cleaned header, marks of de-identification (PS3.15 E.1.1, PS3.3 C.7.1.1 and C.12.1).

    Parameters
    ----------
    values
        Stored values that replace the pixels; None for objects without any, or whose pixels are no picture.
    checked
        Whether the pixels were searched for text.
    face
        Whether the face was removed, or there was none.
    """
    if values is None and "PixelData" in dataset and dataset.file_meta.TransferSyntaxUID.is_compressed:
        dataset.decompress(generate_instance_uid=False)
    result = cleaner.clean(dataset)
    if values is not None:
        result.PixelData = native_bytes(values)
        result["PixelData"].VR = "OW" if values.dtype.itemsize > 1 else "OB"
    result.PatientIdentityRemoved = "YES"
    chosen = methods(options)
    result.DeidentificationMethod = [meaning for _, meaning in chosen]
    result.DeidentificationMethodCodeSequence = [_code(code, meaning) for code, meaning in chosen]
    result.LongitudinalTemporalInformationModified = "MODIFIED"
    if checked:
        result.BurnedInAnnotation = "NO"
    if face:
        result.RecognizableVisualFeatures = "NO"
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return result


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
