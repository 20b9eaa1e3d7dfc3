"""Facts about this machine that explain a figure."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8")
"""What decides the speed of float32, bf16 and int8 arithmetic on x86."""

LIBRARIES = ("torch", "openvino", "monai", "monai-deploy-app-sdk", "highdicom", "pydicom", "numpy")


def facts() -> dict[str, Any]:
    """JSON-ready; the load says whether the machine was ours alone."""
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    lines = dict(line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in lines.items()}
    return {
        "processor": named.get("model name", platform.processor()),
        "cores": len(os.sched_getaffinity(0)),
        "flags": [flag for flag in FLAGS if flag in named.get("flags", "").split()],
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load": [round(value, 1) for value in os.getloadavg()],
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str:
    with suppress(PackageNotFoundError):
        return version(name)
    return "not installed"
