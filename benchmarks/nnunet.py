"""nnU-Net v2 (2D) on the same patients, trained as long as ours was; its masks are left for `braintumor evaluate`.

``python -m benchmarks.nnunet DATA/brats -o OUT --fold 0 --minutes 45`` wants nnunetv2, best in an environment of its own. A
fold that was trained is not trained again. Then::

    braintumor evaluate OUT/predictions DATA/brats -o report/ --allow-missing

nnU-Net plans its own network, preprocessing, augmentation and loss (its recipe for BraTS: regions instead of labels) and
averages over mirrored views. Three things are changed in its favour, because it is made for a GPU and hours: its batch is
`--batch` slices, it multiplies in bf16 where the processor does, and its learning rate falls to 0 within the time it has.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from braintumor import preprocess as case_stage
from braintumor.datasets import LabelledCase, find_cases, read
from braintumor.domain import ENHANCING, NECROTIC_CORE, OEDEMA, MRSequence, write_nifti
from braintumor.preprocess import on_grid
from braintumor.segment import SegmentOptions, segment_case
from braintumor.segment.weights import default_folder
from braintumor.train.data import prepare_labelled
from braintumor.train.splits import Splits, read_folds

DATASET = "Dataset019_Glioma"
NUMBER = 19
ORDER = (OEDEMA, NECROTIC_CORE, ENHANCING)
"""Labels 1, 2, 3 of nnU-Net's data set: later regions are painted over earlier ones."""
LABELS = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": 3}
STEPS_BETWEEN_LOOKS = 5


def main() -> None:
    options = _options()
    folders = {
        name: options.output / name.removeprefix("nnUNet_") for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
    }
    for name, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[name] = str(folder.resolve())
    splits = read_folds(default_folder() / "configs" / "folds.json")
    cases = {case.name: case for case in find_cases(options.data)}
    _write_raw(cases, folders["nnUNet_raw"] / DATASET)
    prepared = folders["nnUNet_preprocessed"] / DATASET
    _plan(prepared, splits)
    os.environ.update(nnUNet_n_proc_DA=str(options.workers))  # not before: the plan takes it for threads, at least 1
    for fold in (int(n) for n in options.fold.split(",")):
        model = _train(prepared, fold, options)
        _predict([cases[name] for name in splits.folds[fold]], model, fold, options.output)


def _write_raw(cases: dict[str, LabelledCase], folder: Path) -> None:
    """The volumes in nnU-Net's layout, prepared like ours (same grid, same brain) but with their own intensities."""
    if (folder / "dataset.json").exists():
        return
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, labelled in cases.items():
        case, truth = prepare_labelled(labelled)
        for channel, sequence in enumerate(MRSequence):
            image = (case.display[sequence] * case.brain).astype(np.float32)
            nib.save(nib.Nifti1Image(image, np.eye(4)), folder / "imagesTr" / f"{name}_{channel:04}.nii.gz")
        mask = np.zeros(truth.mask.shape, np.uint8)
        for value, label in enumerate(ORDER, start=1):
            mask[truth.mask == label.value] = value
        nib.save(nib.Nifti1Image(mask, np.eye(4)), folder / "labelsTr" / f"{name}.nii.gz")
        print(f"... {name}", flush=True)
    dataset = {
        "channel_names": {str(n): sequence.title for n, sequence in enumerate(MRSequence)},
        "labels": LABELS,
        "regions_class_order": [1, 2, 3],
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=2))


def _plan(prepared: Path, splits: Splits) -> None:
    """nnU-Net's own fingerprint, plan and preprocessing, then our folds instead of its."""
    if (prepared / "splits_final.json").exists():
        return
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

    extract_fingerprints([NUMBER], num_processes=1)
    plan_experiments([NUMBER])
    preprocess([NUMBER], configurations=("2d",), num_processes=(1,))
    names = [name for fold in splits.folds for name in fold]
    parts = [{"train": splits.trained(n, names), "val": splits.folds[n]} for n in range(splits.k)]
    (prepared / "splits_final.json").write_text(json.dumps(parts, indent=2))


def _train(prepared: Path, fold: int, options: argparse.Namespace) -> Path:
    """The model folder of a fold, trained for `--minutes` of this machine's time."""
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    plans = json.loads((prepared / "nnUNetPlans.json").read_text())
    plans["configurations"]["2d"]["batch_size"] = options.batch
    plans["continue_training"] = False
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = nnUNetTrainer(plans, "2d", fold, json.loads((prepared / "dataset.json").read_text()), device)
    checkpoint = Path(trainer.output_folder) / "checkpoint_final.pth"
    if checkpoint.exists():
        return checkpoint.parent.parent
    trainer.on_train_start()
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        trainer.network.forward = torch.autocast("cpu", dtype=torch.bfloat16)(trainer.network.forward)
        trainer.loss = _in_float(trainer.loss)
    started, steps, losses = time.monotonic(), 0, []
    while (done := (time.monotonic() - started) / (60.0 * options.minutes)) < 1.0:
        for group in trainer.optimizer.param_groups:
            group["lr"] = trainer.initial_lr * (1.0 - done) ** 0.9  # nnU-Net's schedule, by time instead of epochs
        trainer.network.train()
        batches = (next(trainer.dataloader_train) for _ in range(STEPS_BETWEEN_LOOKS))
        losses += [float(trainer.train_step(batch)["loss"]) for batch in batches]
        steps += STEPS_BETWEEN_LOOKS
        print(f"fold {fold}: {done:5.1%}  {steps} steps  loss {np.mean(losses[-50:]):.4f}", flush=True)
    trainer.current_epoch = 1
    trainer.on_train_end()
    return checkpoint.parent.parent


def _in_float(loss: Any) -> Any:
    """nnU-Net's loss on float32 copies of bf16 outputs."""

    def wrapped(output: Any, target: Any) -> Any:
        return loss([level.float() for level in output] if isinstance(output, (list, tuple)) else output.float(), target)

    return wrapped


def _predict(cases: list[LabelledCase], model: Path, fold: int, output: Path) -> None:
    """Held-out masks as ``predictions/CASE.nii.gz`` in BraTS values, by our nnU-Net engine with nnU-Net's mirroring."""
    from braintumor.segment.engines.nnunet import NnUNetEngine

    alone = output / f"model-{fold}"
    alone.mkdir(exist_ok=True)
    for name in ("plans.json", "dataset.json", f"fold_{fold}"):
        if not (alone / name).exists():
            (alone / name).symlink_to((model / name).resolve())
    engine = NnUNetEngine(alone)
    (output / "predictions").mkdir(exist_ok=True)
    for labelled in cases:
        started = time.monotonic()
        study, _ = read(labelled)
        found = segment_case(case_stage.prepare_case(study), engine, SegmentOptions(tta=True))
        found = on_grid(found, study.reference.image.grid)
        write_nifti(output / "predictions" / f"{labelled.name}.nii.gz", found.mask, found.grid)
        print(f"{labelled.name}: {time.monotonic() - started:.0f} s", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.nnunet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of case folders, e.g. DATA/brats")
    parser.add_argument("-o", "--output", type=Path, required=True, help="working folder; goes on from what is there")
    parser.add_argument("--fold", default="0", help="folds of model/configs/folds.json, separated by commas")
    parser.add_argument("--minutes", type=float, default=45.0, help="training time of a fold")
    parser.add_argument("--batch", type=int, default=12, help="slices in a batch")
    parser.add_argument("--workers", type=int, default=0, help="further processes that augment; 0: none")
    return parser.parse_args()


if __name__ == "__main__":
    main()
