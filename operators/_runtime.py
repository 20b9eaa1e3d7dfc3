"""Makes `holoscan` importable on machines without CUDA: its core links the CUDA runtime even when no GPU is used."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, files

LIBRARY = "libcudart.so.13"
PACKAGE = "nvidia-cuda-runtime"


def load_cuda_runtime() -> None:
    """Load the CUDA runtime library so that ``import holoscan`` finds it already there; safe to call again.

    The system's own library is taken where there is one; else the one in the `nvidia-cuda-runtime` wheel, which lies
    where the dynamic linker does not look. The linker compares sonames, so loading it once by path is enough.

    Raises
    ------
    ImportError
        If neither is there.
    """
    with suppress(OSError):
        ctypes.CDLL(LIBRARY, mode=ctypes.RTLD_GLOBAL)
        return
    try:
        found = [file for file in files(PACKAGE) or () if file.name == LIBRARY]
    except PackageNotFoundError:
        found = []
    if not found:
        raise ImportError(f"holoscan needs {LIBRARY}, also without a GPU: pip install '{PACKAGE}>=13'")
    ctypes.CDLL(str(found[0].locate()), mode=ctypes.RTLD_GLOBAL)
