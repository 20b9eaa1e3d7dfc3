"""What de-identification costs, how much of a face it removes, and how well burnt-in text is found.

    python -m benchmarks.deidentification [--nifti FOLDER_OF_REAL_HEADS]

Text is drawn in white on slices of phantoms, or of real heads, in the corners and on the head, at heights of 10 to 24 pixels;
every slice without text counts for false alarms. The face is known in a phantom: eyes, nose and the skin before them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from benchmarks.machine import facts
from braintumor import phantom
from braintumor.deidentify import DeidentifyOptions, create_key, deidentify, find_text
from braintumor.domain import MRSequence, canonical
from braintumor.phantom.head import around
from braintumor.study import read_study

SIZES = (10, 12, 14, 16, 20, 24)
WORDS = ("DOE JOHN", "12.03.1961", "ID 48213")


def with_text(values, size, place, words, level=None):
    """A copy of a slice with white text, anti-aliased as viewers draw it."""
    rows, columns = values.shape
    layer = Picture.new("L", (columns, rows))
    font = ImageFont.load_default(size)
    draw = ImageDraw.Draw(layer)
    left, top, right, bottom = draw.textbbox((0, 0), words, font=font)
    width, height = right - left, bottom - top
    spots = {
        "top left": (2, 2),
        "top right": (columns - width - 4, 2),
        "bottom left": (2, rows - height - 6),
        "head": ((columns - width) // 2, (rows - height) // 2),
    }
    x, y = spots[place]
    draw.text((x - left, y - top), words, fill=255, font=font)
    strokes = np.asarray(layer, np.float32) / 255
    level = float(values.max()) if level is None else level
    return (values * (1 - strokes) + level * strokes).astype(values.dtype), strokes > 0.5


def volumes(seeds):
    """Slices (rows, columns) of phantoms with the skull on, by sequence, 1 mm in plane."""
    for seed in seeds:
        visit = phantom.make(phantom.PhantomOptions(seed=seed, spacing_mm=(1.0, 1.0, 5.0)))[0]
        for sequence in MRSequence:
            voxels = visit.images[sequence].voxels
            yield [voxels[:, :, k].T.astype(np.uint16) for k in range(voxels.shape[2])]


def scanned(folder):
    """Slices of the NIfTI files below a folder, as stored."""
    for path in sorted(folder.rglob("*.nii.gz")):
        voxels = np.asarray(nib.load(path).dataobj)
        yield [np.ascontiguousarray(voxels[:, :, k].T[::-1]).astype(np.int32) for k in range(voxels.shape[2])]


def text(heads):
    """Print sensitivity by size and place, and false alarms."""
    found, drawn, false_beside, false_on, clean, covered, kept = {}, {}, 0, 0, 0, [], 0
    rng = np.random.default_rng(0)
    for slices in heads:
        for values in slices:
            answer = find_text(values)
            clean += 1
            false_beside += bool(answer.boxes)
            false_on += answer.on_head
        for values in slices[4::6]:
            for size in SIZES:
                for place in ("top left", "top right", "bottom left", "head"):
                    burnt, strokes = with_text(values, size, place, str(rng.choice(WORDS)))
                    answer = find_text(burnt)
                    hit = answer.on_head or bool(answer.boxes)
                    found[size, place] = found.get((size, place), 0) + hit
                    drawn[size, place] = drawn.get((size, place), 0) + 1
                    kept += answer.on_head and place != "head"
                    if answer.boxes and not answer.on_head:
                        mask = np.zeros(values.shape, bool)
                        for a, b, c, d in answer.boxes:
                            mask[max(0, a - 2) : c + 2, max(0, b - 2) : d + 2] = True
                        covered.append((strokes & mask).sum() / strokes.sum())
    print(f"\n{'text, pixels':<16}" + "".join(f"{size:>8}" for size in SIZES))
    for place in ("top left", "top right", "bottom left", "head"):
        print(f"{place:<16}" + "".join(f"{found[size, place] / drawn[size, place]:>8.1%}" for size in SIZES))
    print(f"drawn {sum(drawn.values())}; share of strokes inside the boxes {np.mean(covered):.3f}, least {np.min(covered):.3f}")
    print(f"slices kept here because the text in their corner comes near the head: {kept}")
    print(f"clean slices {clean}: false alarms beside the head {false_beside}, on the head {false_on}")


def face(seed, folder):
    """Print how much of a phantom's face is gone, and the cost of the export."""
    visit = phantom.make(phantom.PhantomOptions(seed=seed, spacing_mm=(1.0, 1.0, 1.0)))[0]
    phantom.write_dicom(visit, folder / "study")
    size = sum(path.stat().st_size for path in (folder / "study").rglob("*.dcm")) / 1e6
    started = time.perf_counter()
    report = deidentify(folder / "study", folder / "out", create_key(folder / "key"), options=DeidentifyOptions())
    seconds = time.perf_counter() - started
    print(f"\nexport: {seconds:.1f} s for {size:.0f} MB of 4 series, {size / seconds:.1f} MB/s")
    image = read_study(folder / "out").series[MRSequence.T1].image
    voxels = canonical(image.grid).apply(image.voxels)
    original = read_study(folder / "study").series[MRSequence.T1].image
    before = canonical(original.grid).apply(original.voxels)
    head = around(visit.scene.brain, seed)
    eye, skin = np.full(visit.brain.size, 99.0), np.full(visit.brain.size, 99.0)
    eye[head.where], skin[head.where] = head.eye, head.depth
    points = visit.scene.brain.grid.to_world(np.argwhere(np.ones(visit.brain.shape, bool)))
    front = (points[:, 1] < -60) & (points[:, 2] < -20)
    tissue = (before > 0.1 * np.percentile(before, 99)).ravel()
    for name, part in (("eyes", eye < 12), ("skin of the face", (skin < 4) & front)):
        part = part & tissue
        print(f"{name:<18} {np.mean(voxels.ravel()[part] == voxels.min()):.1%} of {part.sum()} voxels removed")
    brain = visit.brain
    print(f"brain voxels changed: {np.count_nonzero(voxels[brain] != before[brain])} of {brain.sum()}")
    print(f"untouched by the report: {all(proof.untouched for proof in report.proofs.values())}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="phantoms for the text")
    parser.add_argument("--nifti", type=Path, help="folder of real heads for the text, as scanned")
    arguments = parser.parse_args()
    print(facts())
    text(volumes(range(arguments.seeds)))
    if arguments.nifti:
        text(scanned(arguments.nifti))
    with tempfile.TemporaryDirectory() as folder:
        face(0, Path(folder))


if __name__ == "__main__":
    main()
