"""`braintumor phantom` and `braintumor to-dicom`: studies to try things on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from braintumor.cli import console

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to make; must not exist yet, or be empty.")]


def phantom(
    output: Output,
    seed: Annotated[int, typer.Option(help="Another number, another patient.")] = 0,
    visits: Annotated[int, typer.Option(min=1, help="Visits over time, the tumour growing.")] = 1,
    spacing: Annotated[float, typer.Option(min=0.5, max=5.0, help="Voxel size in mm.")] = 1.0,
    skull: Annotated[bool, typer.Option(help="Leave the skull on, as scanned, or strip it, as in BraTS.")] = False,
    nifti: Annotated[bool, typer.Option("--nifti", help="Write NIfTI with BraTS names instead of DICOM.")] = False,
) -> None:
    """Make a synthetic study with a known tumour: real anatomy (MNI152), four sequences, true volumes printed.

    [dim]braintumor phantom -o phantom/ && braintumor run phantom/visit-1 -o results/[/]
    """
    from braintumor import phantom as generator

    options = generator.PhantomOptions(seed=seed, visits=visits, spacing_mm=(spacing,) * 3, skull=skull)
    for number, visit in enumerate(generator.make(options), start=1):
        folder = output / f"visit-{number}"
        (generator.write_nifti if nifti else generator.write_dicom)(visit, folder)
        true = "  ".join(f"{name} {volume:.2f} mL" for name, volume in visit.volumes_ml.items())
        console.out.print(f"{folder}  true volumes: {true}", soft_wrap=True)


def to_dicom(
    case: Annotated[Path, typer.Argument(help="Folder of a NIfTI case (BraTS, nnU-Net or BIDS names).")],
    output: Output,
    seed: Annotated[int, typer.Option(help="Decides the UIDs.")] = 0,
) -> None:
    """Turn a NIfTI case into a DICOM MR study, one series per sequence, voxel values kept where they are integers.

    [dim]braintumor to-dicom BraTS20_Training_001/ -o study/[/]
    """
    from braintumor.phantom import case_to_dicom

    folder = case_to_dicom(case, output, seed=seed)
    console.out.print(f"DICOM study in [bold]{folder}[/]", soft_wrap=True)
