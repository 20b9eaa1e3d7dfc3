"""Pictures of the result as Secondary Capture images, for archives and viewers that can show nothing else."""

from __future__ import annotations

from collections.abc import Sequence as Seq

import highdicom as hd
import numpy as np
import numpy.typing as npt

from braintumor.domain import Study
from braintumor.export.common import ResultContext, identity, read_header, stamp

Picture = tuple[str, npt.NDArray[np.uint8], str]
"""Name, pixels (row, column, RGB), caption."""


def make_secondary_captures(study: Study, pictures: Seq[Picture], context: ResultContext) -> list[hd.sc.SCImage]:
    """One Secondary Capture (PS3.3 A.8.1) per picture, all in one series, in order.

    Parameters
    ----------
    study
        Read from DICOM.
    pictures
        Pixels uint8 RGB. They must show nothing that names the patient: the images are declared free of it. The name
        becomes the Derivation Description, the caption the Image Comments.

    Raises
    ------
    ValueError
        If pixels are not uint8 (rows, columns, 3).
    InputNotFoundError, CorruptFileError
        If the study is NIfTI or its files changed meanwhile.
    """
    header = read_header(study, study.reference)
    images = []
    for number, (name, pixels, caption) in enumerate(pictures, 1):
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(f"a picture must be uint8 (rows, columns, 3), not {pixels.dtype} {pixels.shape}")
        image = hd.sc.SCImage(
            pixel_array=np.ascontiguousarray(pixels),
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            patient_orientation=("L", "P"),
            **identity(header),
            **context.arguments("sc", "Brain tumour pictures", number=number),
        )
        image.copy_patient_and_study_information(header)
        image["PatientOrientation"].value = None  # may be a montage or a coronal view: no claim is safer than a wrong letter
        image.DerivationDescription, image.ImageComments = name, caption
        image.BurnedInAnnotation, image.BodyPartExamined = "NO", "BRAIN"
        image.DateOfSecondaryCapture, image.TimeOfSecondaryCapture = image.ContentDate, image.ContentTime
        stamp(image, header, context)
        images.append(image)
    return images
