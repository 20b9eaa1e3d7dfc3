"""Small models of ours and of peers, made on the spot, for the tests of engines."""

import json

import numpy as np
import torch

from braintumor.domain import Case, Grid, MRSequence
from braintumor.segment.network import AttentionUNet, NetworkConfig
from braintumor.segment.weights import save

TINY = NetworkConfig(channels=(16, 32, 64))


def own_model(folder, config=TINY):
    """A model folder of ours with random weights; batch norm has seen a few slices, so that no layer is degenerate."""
    torch.manual_seed(1)
    network = AttentionUNet(config)
    for _ in range(4):
        network(torch.randn(4, config.in_channels, 32, 32))
    save(network.eval(), folder, {"name": "tiny", "version": "9"})
    return folder


def case_of_noise(shape=(40, 36, 8), seed=0, present=tuple(MRSequence)):
    """A case whose brain is an ellipsoid of noise: positive in `display`, z-scored in `channels`."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    brain = sum(axis**2 for axis in axes) < 0.9
    display = {s: (rng.random(shape) * 100 + 20 * n + 1).astype(np.float32) * brain for n, s in enumerate(present)}
    channels = np.zeros((len(MRSequence), *shape), np.float32)
    for n, sequence in enumerate(MRSequence):
        if sequence in display:
            inside = display[sequence][brain]
            channels[n][brain] = (inside - inside.mean()) / inside.std()
    return Case("noise", Grid(shape, np.eye(4)), channels, display, brain, present, {})


ZOO_INPUTS = ("T1c", "T1", "T2", "FLAIR")
ZOO_OUTPUTS = ("Tumor core", "Whole tumor", "Enhancing tumor")


def zoo_bundle(folder, network, definition, inputs=ZOO_INPUTS, outputs=ZOO_OUTPUTS, script=False):
    """A MONAI bundle laid out as the zoo's brats_mri_segmentation."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    formats = {
        "inputs": {"image": {"channel_def": {str(n): name for n, name in enumerate(inputs)}}},
        "outputs": {"pred": {"channel_def": {str(n): name for n, name in enumerate(outputs)}}},
    }
    write(folder / "configs/metadata.json", {"version": "0.3.0", "network_data_format": formats})
    config = {
        "device": "$torch.device('cpu')",
        "network_def": definition,
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
            ],
        },
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [24, 24, 8], "sw_batch_size": 1, "overlap": 0.5},
    }
    write(folder / "configs/inference.json", config)
    if script:
        torch.jit.script(network).save(folder / "models/model.ts")
    else:
        torch.save(network.state_dict(), folder / "models/model.pt")
    return folder


BRATS = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]}
NNUNET_CHANNELS = ("T1", "T1ce", "T2", "Flair")


def nnunet_model(folder, labels=None, order=(1, 2, 3), channels=NNUNET_CHANNELS, weights=None):
    """A trained nnU-Net v2 folder of the smallest 3D U-Net; `weights` None leaves its fold without tensors."""
    labels = BRATS if labels is None else labels
    (folder / "fold_0").mkdir(parents=True)
    names = {str(n): name for n, name in enumerate(channels)}
    dataset = {"channel_names": names, "labels": labels, "file_ending": ".nii.gz", "numTraining": 1}
    if order:
        dataset["regions_class_order"] = list(order)
    write(folder / "dataset.json", dataset)
    write(folder / "plans.json", nnunet_plans(len(channels)))
    checkpoint = {
        "network_weights": weights or {},
        "logging": {"mean_fg_dice": [np.float64(0.5)], "train_losses": [np.float32(-0.5)]},
        "_best_ema": np.float64(0.5),
        "current_epoch": 1,
        "init_args": {"configuration": "3d_fullres", "fold": 0, "device": torch.device("cpu")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }
    torch.save(checkpoint, folder / "fold_0/checkpoint_final.pth")
    return folder


def nnunet_plans(channels):
    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": 2,
            "features_per_stage": [4, 8],
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3], [3, 3, 3]],
            "strides": [[1, 1, 1], [2, 2, 2]],
            "n_conv_per_stage": [1, 1],
            "n_conv_per_stage_decoder": [1],
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    setup = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [8, 24, 24],
        "median_image_size_in_voxels": [8, 36, 40],
        "spacing": [1.0, 1.0, 1.0],
        "normalization_schemes": ["ZScoreNormalization"] * channels,
        "use_mask_for_norm": [True] * channels,
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True},
        "resampling_fn_probabilities_kwargs": resampling,
        "architecture": architecture,
        "batch_dice": True,
    }
    return {
        "dataset_name": "Dataset137_BraTS2021",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [1.0, 1.0, 1.0],
        "original_median_shape_after_transp": [8, 36, 40],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": setup},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {str(n): {} for n in range(channels)},
    }


def write(path, content):
    path.write_text(json.dumps(content))


def edit(path, change):
    """Read JSON, let `change` alter it, write it back."""
    content = json.loads(path.read_text())
    change(content)
    write(path, content)
