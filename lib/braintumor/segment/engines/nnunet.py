"""A trained nnU-Net v2 model folder as an engine: nnU-Net's own preparation, sliding window and ensemble of folds."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch

from braintumor.domain import (
    BrainTumorError,
    Case,
    EngineError,
    MissingSequenceError,
    MRSequence,
    Region,
    ShareProgress,
    WeightsError,
    silent,
)
from braintumor.segment.engines.protocol import Identity, Probabilities
from braintumor.segment.engines.regions import INNERMOST, from_classes, from_regions

CHECKPOINT = "checkpoint_final.pth"

TRUSTED = ("dynamic_network_architectures.", "torch.nn.")
"""Where the classes that plans.json names may come from: it could name anything that Python can import."""


def is_nnunet(folder: Path) -> bool:
    """Whether a folder holds a trained nnU-Net v2 model."""
    return (folder / "plans.json").is_file() and (folder / "dataset.json").is_file()


class NnUNetEngine:
    """All folds of a trained nnU-Net v2 model, averaged.

    Parameters
    ----------
    folder
        ``dataset.json``, ``plans.json`` and ``fold_*/checkpoint_final.pth``. Channels and labels are taken by their names in
        ``dataset.json``, never by their position.

    Raises
    ------
    EngineError
        If nnunetv2 is not installed, or the model is a cascade or of a class that is not nnU-Net's own.
    MissingSequenceError, UnusableImageError
        If channels or labels have names that are not known, or labels do not make up the three regions.
    WeightsError
        If a file is missing, or holds more than weights.
    """

    def __init__(self, folder: Path) -> None:
        self._channels, self._meaning, self._regions = _described(folder)
        files = sorted(folder.glob(f"fold_*/{CHECKPOINT}"))
        if not files:
            raise WeightsError(f"The nnU-Net model has no fold_*/{CHECKPOINT}", remedy=_REMEDY, path=folder)
        checkpoints = [_weights(path) for path in files]
        digest = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()
        plans = _json(folder / "plans.json")
        self.model = Identity(f"nnU-Net {plans.get('dataset_name', folder.name)}", f"{len(files)} folds", digest)
        self._predictor = _predictor(plans, _json(folder / "dataset.json"), checkpoints, folder)
        self.name = f"nnunet-{self._predictor.device.type}"

    def predict(self, case: Case, *, tta: bool = False, progress: ShareProgress = silent) -> Probabilities:
        """See `VolumeEngine.predict`; `tta` mirrors along the axes that the training allowed."""
        missing = [s.title for s in self._channels if s not in case.present]
        if missing:
            raise MissingSequenceError(
                f"{self.model.name} needs {', '.join(missing)}", remedy="Use the model that comes with the package"
            )
        progress(0.0)
        # nnU-Net reads images as (k, j, i) and takes what is exactly 0 for background.
        image = np.stack([case.display[s] * case.brain for s in self._channels]).astype(np.float32).transpose(0, 3, 2, 1)
        spacing = [float(size) for size in case.grid.spacing[::-1]]
        self._predictor.use_mirroring = tta
        with _quietly(), _explained():
            _, shares = self._predictor.predict_single_npy_array(
                np.ascontiguousarray(image), {"spacing": spacing}, None, None, True
            )
        progress(1.0)
        values = np.asarray(shares, np.float32).transpose(0, 3, 2, 1)
        if self._regions:
            return from_regions(dict(zip(self._regions, values, strict=True)))
        return from_classes(values, self._meaning)


_REMEDY = "Name the folder that holds dataset.json, plans.json and fold_0, as nnUNetv2_train wrote it"


def _json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"The nnU-Net model has no readable {path.name}", remedy=_REMEDY, path=path) from error
    return content


def _described(folder: Path) -> tuple[tuple[MRSequence, ...], Mapping[int, int], tuple[Region, ...]]:
    """Sequences in channel order, what each label is, and the regions in output order (none for a model with labels)."""
    from braintumor.datasets.description import describe

    description = describe(folder)
    if description is None:
        raise WeightsError("The nnU-Net model has no dataset.json", remedy=_REMEDY, path=folder)
    places = description.sequences()
    channels = tuple(sorted(places, key=lambda sequence: places[sequence]))
    meaning = description.meaning()
    if meaning.regions != frozenset(Region):
        absent = ", ".join(r.value for r in Region if r not in meaning.regions)
        raise WeightsError(f"The nnU-Net model does not tell {absent}", remedy="Use one with all three regions", path=folder)
    order = _json(folder / "dataset.json").get("regions_class_order")
    return channels, meaning.values, _region_order(description.labels, order, meaning.values, folder) if order else ()


def _region_order(labels: Mapping[str, Any], order: list[int], meaning: Mapping[int, int], folder: Path) -> tuple[Region, ...]:
    """Regions in the order of the output channels.

    nnU-Net paints them in this order, each with one value, so that value says which region it is: the value of that region
    alone. It must agree with the values that dataset.json lists for the region.
    """
    listed = [set(values) if isinstance(values, list) else {values} for values in labels.values() if values not in (0, [0])]
    by_label = {label.value: region for region, label in INNERMOST.items()}
    found = tuple(by_label.get(meaning.get(value, 0)) for value in order)
    members = [{v for v, label in meaning.items() if label and region and region in _regions_of(label)} for region in found]
    if sorted(str(r) for r in found) != sorted(str(r) for r in Region) or members != listed:
        problem = f"The nnU-Net model's regions {labels} and regions_class_order {order} do not fit each other"
        raise WeightsError(problem, remedy="Correct dataset.json; regions must be nested WT, TC, ET", path=folder)
    return tuple(region for region in found if region)


def _regions_of(value: int) -> frozenset[Region]:
    from braintumor.domain import by_value

    return by_value(value).regions


def _weights(path: Path) -> dict[str, Any]:
    """A checkpoint, read without running what a pickle can hold: tensors and plain numbers only."""
    scalar = np.float64(0).__reduce__()[0]  # what rebuilds the numbers in nnU-Net's log
    plain: list[Any] = [np.dtype, *(type(np.dtype(kind)) for kind in ("f8", "f4", "i8", "i4", "?"))]
    plain += [(scalar, f"{module}.multiarray.scalar") for module in ("numpy._core", "numpy.core")]  # NumPy 2 and NumPy 1
    try:
        with torch.serialization.safe_globals(plain):
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or unsafe pickle raises whatever it likes
        raise WeightsError(
            "The nnU-Net checkpoint cannot be read safely: it is damaged, or holds Python objects besides weights",
            remedy="Save it again with nnU-Net's own trainer; only load what you would also run",
            path=path,
        ) from error
    missing = {"network_weights", "init_args"} - set(content)
    if missing:
        raise WeightsError(f"The nnU-Net checkpoint lacks {', '.join(sorted(missing))}", remedy=_REMEDY, path=path)
    return content


def _predictor(plans: dict[str, Any], dataset: dict[str, Any], checkpoints: list[dict[str, Any]], folder: Path) -> Any:
    with _quietly():
        try:
            from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
            from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
            from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
        except ImportError as error:
            raise EngineError(
                "An nnU-Net model needs nnunetv2, which is not installed",
                remedy="Run pip install 'braintumor[nnunet]', best in an environment of its own",
            ) from error
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with _quietly(), _explained():
        predictor = nnUNetPredictor(
            use_mirroring=False, perform_everything_on_device=device.type == "cuda", device=device, allow_tqdm=False
        )
        manager = PlansManager(plans)
        setup = manager.get_configuration(checkpoints[0]["init_args"]["configuration"])
        if setup.previous_stage_name is not None:
            raise EngineError("An nnU-Net cascade cannot be run", remedy="Use its 3d_fullres or 2d model", path=folder)
        _refuse_strange_classes(setup, folder)
        network = get_network_from_plans(
            setup.network_arch_class_name,
            setup.network_arch_init_kwargs,
            setup.network_arch_init_kwargs_req_import,
            len(dataset["channel_names"]),
            manager.get_label_manager(dataset).num_segmentation_heads,
            allow_init=False,
            deep_supervision=False,
        )
        parameters = [checkpoint["network_weights"] for checkpoint in checkpoints]
        _check_fit(network, parameters, folder)
        mirrored = checkpoints[0].get("inference_allowed_mirroring_axes")
        predictor.manual_initialization(network, manager, setup, parameters, dataset, "nnUNetTrainer", mirrored)
    return predictor


def _check_fit(network: torch.nn.Module, parameters: list[dict[str, Any]], folder: Path) -> None:
    for weights in parameters:
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise WeightsError(
                "The nnU-Net weights do not fit the network in plans.json",
                remedy="A trainer that builds a network of its own is not supported",
                path=folder,
            ) from error


def _refuse_strange_classes(setup: Any, folder: Path) -> None:
    """Refuse plans that name a class outside of `TRUSTED`."""
    values = setup.network_arch_init_kwargs
    named = [values[key] for key in setup.network_arch_init_kwargs_req_import if values[key] is not None]
    for name in (setup.network_arch_class_name, *named):
        if not str(name).startswith(TRUSTED):
            raise EngineError(
                f"plans.json wants the class {name}", remedy=f"Only classes of {' and '.join(TRUSTED)} are run", path=folder
            )


@contextmanager
def _explained() -> Iterator[None]:
    """What nnU-Net raises, mostly for a plans.json that lacks something, as an error that names the remedy."""
    try:
        yield
    except BrainTumorError:
        raise
    except Exception as error:
        problem = f"The nnU-Net model cannot be run ({type(error).__name__}: {error})"
        raise EngineError(problem, remedy="Check that its own nnUNetv2_predict can") from error


@contextmanager
def _quietly() -> Iterator[None]:
    """nnU-Net prints hints; standard output belongs to --json."""
    with redirect_stdout(io.StringIO()):
        yield
