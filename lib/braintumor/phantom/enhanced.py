"""Enhanced MR Image Storage: all slices as frames of one instance, with their functional groups (PS3.3 A.36)."""

from __future__ import annotations

from collections.abc import Sequence as Seq
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage, generate_uid

from braintumor.phantom.planes import StoredPlane, decimal
from braintumor.phantom.protocol import Protocol

# fmt: off
_NOT_HERE = (  # moved into functional groups, or no part of this IOD
    "PixelSpacing", "SliceThickness", "SpacingBetweenSlices", "WindowCenter", "WindowWidth", "ReceiveCoilName",
    "ImagingFrequency", "ContrastBolusAgent", "ContrastBolusRoute", "AcquisitionDate", "AcquisitionTime",
    "DerivationDescription",
)
# fmt: on


def enhanced_dataset(common: Dataset, planes: Seq[StoredPlane], protocol: Protocol) -> Dataset:
    """All planes as the frames of one Enhanced MR instance, frame n+1 for ``planes[n]``; its UID is left to the caller.

    Parameters
    ----------
    common
        The attributes of the series in classic form (spacing, window, image size); not changed.
    """
    dataset = Dataset()
    dataset.update({e.tag: e for e in common if e.keyword not in _NOT_HERE})
    dataset.SOPClassUID = EnhancedMRImageStorage
    dataset.ImageType = [common.ImageType[0], "PRIMARY", "OTHER", "NONE"]
    dataset.NumberOfFrames = len(planes)
    dataset.AcquisitionDateTime = common.AcquisitionDate + common.AcquisitionTime
    _image_module(dataset, protocol)
    if common.ImageType[0] == "ORIGINAL":  # the module is forbidden in derived images
        _pulse_sequence(dataset, protocol)
    _dimensions(dataset)
    dataset.SharedFunctionalGroupsSequence = [_shared(common, protocol, dataset.ImageType)]
    dataset.PerFrameFunctionalGroupsSequence = [_per_frame(common, plane, n) for n, plane in enumerate(planes)]
    dataset.PixelData = np.stack([plane.pixels for plane in planes]).tobytes()
    return dataset


def _image_module(dataset: Dataset, protocol: Protocol) -> None:
    """Enhanced MR Image module (PS3.3 C.8.13.1) and its neighbours."""
    dataset.AcquisitionNumber, dataset.AcquisitionDuration = 1, 240.0
    dataset.AcquisitionContrast = "FLUID_ATTENUATED" if (protocol.inversion_ms or 0) > 1500 else _weighting(protocol)
    dataset.PixelPresentation, dataset.VolumetricProperties = "MONOCHROME", "VOLUME"
    dataset.VolumeBasedCalculationTechnique, dataset.ComplexImageComponent = "NONE", "MAGNITUDE"
    dataset.ContentQualification, dataset.ResonantNucleus, dataset.KSpaceFiltering = "RESEARCH", "1H", "NONE"
    dataset.ApplicableSafetyStandardAgency, dataset.ApplicableSafetyStandardDescription = "IEC", "IEC 60601-2-33"
    dataset.BurnedInAnnotation, dataset.LossyImageCompression, dataset.PresentationLUTShape = "NO", "00", "IDENTITY"
    dataset.AcquisitionContextSequence = []
    if protocol.agent:
        dataset.ContrastBolusAgentSequence = [
            _dataset(
                **_code("105879004", "SCT", "Gadolinium"),
                ContrastBolusAgentNumber=1,
                ContrastBolusAdministrationRouteSequence=[_dataset(**_code("47625008", "SCT", "Intravenous route"))],
                ContrastBolusVolume=8.0,
                ContrastBolusIngredientConcentration=1.0,
                ContrastBolusIngredientCodeSequence=[_dataset(**_code("105879004", "SCT", "Gadolinium"))],
            )
        ]


def _pulse_sequence(dataset: Dataset, protocol: Protocol) -> None:
    """MR Pulse Sequence module (PS3.3 C.8.13.4)."""
    spin = "SE" in protocol.scanning or protocol.scanning == "IR"
    dataset.PulseSequenceName, dataset.MRAcquisitionType = protocol.sequence_name or "FSE", protocol.dimension
    dataset.EchoPulseSequence = "SPIN" if spin else "GRADIENT"
    if spin:
        dataset.MultipleSpinEcho = "YES" if protocol.train > 1 else "NO"
    dataset.MultiPlanarExcitation = dataset.PhaseContrast = dataset.TimeOfFlightContrast = "NO"
    dataset.SteadyStatePulseSequence, dataset.EchoPlanarPulseSequence, dataset.SaturationRecovery = "NONE", "NO", "NO"
    dataset.SpectrallySelectedSuppression, dataset.OversamplingPhase = "NONE", "NONE"
    dataset.GeometryOfKSpaceTraversal, dataset.RectilinearPhaseEncodeReordering = "RECTILINEAR", "LINEAR"
    dataset.SegmentedKSpaceTraversal, dataset.NumberOfKSpaceTrajectories = "SINGLE", 1
    if protocol.dimension == "3D":
        dataset.CoverageOfKSpace = "FULL"


def _dimensions(dataset: Dataset) -> None:
    """Frames are indexed by stack and by position in the stack (PS3.3 C.7.6.17)."""
    uid = generate_uid(entropy_srcs=[dataset.SeriesInstanceUID, "dimensions"])
    dataset.DimensionOrganizationSequence = [_dataset(DimensionOrganizationUID=uid)]
    dataset.DimensionIndexSequence = [
        _dataset(DimensionOrganizationUID=uid, DimensionIndexPointer=pointer, FunctionalGroupPointer=0x00209111)
        for pointer in (0x00209056, 0x00209057)
    ]


def _shared(common: Dataset, protocol: Protocol, image_type: Any) -> Dataset:
    """Functional groups that all frames share (PS3.3 Table A.36-2)."""
    contrast = "FLUID_ATTENUATED" if (protocol.inversion_ms or 0) > 1500 else _weighting(protocol)
    window = _dataset(WindowCenter=common.WindowCenter, WindowWidth=common.WindowWidth)
    measures = _dataset(
        PixelSpacing=common.PixelSpacing,
        SliceThickness=common.SliceThickness,
        SpacingBetweenSlices=common.SpacingBetweenSlices,
    )
    region = _dataset(FrameLaterality="U", AnatomicRegionSequence=[_dataset(**_code("12738006", "SCT", "Brain"))])
    frame_type = _dataset(
        FrameType=list(image_type),
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
        ComplexImageComponent="MAGNITUDE",
        AcquisitionContrast=contrast,
    )
    groups = {
        "PixelMeasuresSequence": measures,
        "FrameAnatomySequence": region,
        "FrameVOILUTSequence": window,
        "MRImageFrameTypeSequence": frame_type,
        **_acquisition_groups(common, protocol),
    }
    if protocol.agent:
        usage = {"ContrastBolusAgentNumber": 1, "ContrastBolusAgentAdministered": "YES", "ContrastBolusAgentDetected": "YES"}
        groups["ContrastBolusUsageSequence"] = _dataset(**usage)
    return _dataset(**{name: [item] for name, item in groups.items()})


def _acquisition_groups(common: Dataset, protocol: Protocol) -> dict[str, Dataset]:
    """The MR functional groups that describe how the frames were acquired (PS3.3 C.8.13.5)."""
    timing = _dataset(
        RepetitionTime=protocol.repetition_ms,
        FlipAngle=protocol.flip_deg,
        EchoTrainLength=protocol.train,
        RFEchoTrainLength=protocol.train if protocol.train > 1 else 0,
        GradientEchoTrainLength=0,
        SpecificAbsorptionRateSequence=[_dataset(SpecificAbsorptionRateDefinition="IEC_HEAD", SpecificAbsorptionRateValue=1.0)],
        GradientOutputType="DB_DT",
        GradientOutput=50.0,
        OperatingModeSequence=[
            _dataset(OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL"),
            _dataset(OperatingModeType="RF", OperatingMode="IEC_NORMAL"),
            _dataset(OperatingModeType="GRADIENT", OperatingMode="IEC_NORMAL"),
        ],
    )
    field_of_view = _dataset(
        MRAcquisitionFrequencyEncodingSteps=int(common.Columns),
        MRAcquisitionPhaseEncodingStepsInPlane=int(common.Rows),
        InPlanePhaseEncodingDirection="ROW",
        PercentSampling=100.0,
        PercentPhaseFieldOfView=100.0,
    )
    if protocol.dimension == "3D":
        field_of_view.MRAcquisitionPhaseEncodingStepsOutOfPlane = 128
    inversion = _dataset(InversionRecovery="NO" if protocol.inversion_ms is None else "YES")
    if protocol.inversion_ms is not None:
        inversion.InversionTimes = [protocol.inversion_ms]
    modifier = _dataset(
        **{e.keyword: e.value for e in inversion},
        FlowCompensation="NONE",
        Spoiling="RF",
        T2Preparation="NO",
        SpectrallySelectedExcitation="NONE",
        SpatialPresaturation="NONE",
        PartialFourier="NO",
        ParallelAcquisition="NO",
    )
    imaging = _dataset(
        MagnetizationTransfer="NONE",
        BloodSignalNulling="NO",
        Tagging="NONE",
        TransmitterFrequency=float(common.ImagingFrequency),
        PixelBandwidth=200.0,
    )
    coil = {"ReceiveCoilName": common.ReceiveCoilName, "ReceiveCoilManufacturerName": "", "ReceiveCoilType": "HEAD"}
    return {
        "MRTimingAndRelatedParametersSequence": timing,
        "MRFOVGeometrySequence": field_of_view,
        "MREchoSequence": _dataset(EffectiveEchoTime=float(protocol.echo_ms)),
        "MRModifierSequence": modifier,
        "MRImagingModifierSequence": imaging,
        "MRReceiveCoilSequence": _dataset(**coil, QuadratureReceiveCoil="YES"),
        "MRTransmitCoilSequence": _dataset(TransmitCoilName="Body", TransmitCoilManufacturerName="", TransmitCoilType="BODY"),
        "MRAveragesSequence": _dataset(NumberOfAverages=1),
    }


def _per_frame(common: Dataset, plane: StoredPlane, number: int) -> Dataset:
    """Functional groups of one frame: where it lies, its rescale, its place in the stack."""
    content = _dataset(
        FrameAcquisitionNumber=1,
        FrameReferenceDateTime=common.AcquisitionDate + common.AcquisitionTime,
        FrameAcquisitionDateTime=common.AcquisitionDate + common.AcquisitionTime,
        FrameAcquisitionDuration=240.0,
        StackID="1",
        InStackPositionNumber=plane.k + 1,
        DimensionIndexValues=[1, plane.k + 1],
    )
    position = _dataset(ImagePositionPatient=[decimal(v) for v in plane.position])
    orientation = _dataset(ImageOrientationPatient=[decimal(v) for v in (*plane.row, *plane.column)])
    rescale = _dataset(
        RescaleIntercept=decimal(plane.rescale.intercept), RescaleSlope=decimal(plane.rescale.slope), RescaleType="US"
    )
    return _dataset(
        FrameContentSequence=[content],
        PlanePositionSequence=[position],
        PlaneOrientationSequence=[orientation],
        PixelValueTransformationSequence=[rescale],
    )


def _weighting(protocol: Protocol) -> str:
    return "T1" if protocol.echo_ms < 30 else "T2"


def _code(value: str, scheme: str, meaning: str) -> dict[str, str]:
    return {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}


def _dataset(**values: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset
