"""The wheels of an image in one folder, at the versions of requirements.lock, each with its hash; a build needs no network."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from manifests import ROOT
from packaging.utils import canonicalize_name, parse_wheel_filename
from slim import CPU, dropped

from braintumor.domain import OutputError, PackagingError, write_json

PYTHON = (3, 11)
"""The image's Python, for which the wheels are gathered; `Containerfile` names it too."""

LOCK = ROOT / "requirements.lock"
TORCH_CPU = "https://download.pytorch.org/whl/cpu"
"""Where the CPU build of torch is published; PyPI's own wheel is the CUDA build."""

SBOM_TOOL = "cyclonedx-bom==7.5.0"
"""Not in the lock: it describes an environment from outside, and runs in the build stage only."""

RUNTIME, TOOLS, STAMP = "runtime", "tools", "wheels.json"


def build_ours(folder: Path) -> Path:
    """The wheel of this repository as it is checked out."""
    _pip("wheel", str(ROOT), "--no-deps", "--wheel-dir", str(folder))
    return next(folder.glob("braintumor-*.whl"))


def gather(folder: Path, variant: str, ours: Path) -> dict[str, str]:
    """Fill `folder` with everything an image of `variant` needs beside our own wheel, or find it filled.

    ``runtime.txt`` and ``tools.txt`` in it list the wheels of ``runtime/`` and ``tools/`` as pip's ``--require-hashes`` wants.

    Returns
    -------
    versions
        Package -> version of what goes into the image.

    Raises
    ------
    OutputError
        If the folder holds something else.
    PackagingError
        If a wheel cannot be had.
    """
    if sys.version_info[:2] != PYTHON:
        found = ".".join(map(str, sys.version_info[:2]))
        raise PackagingError(f"The image has Python 3.11, this is {found}", remedy="Start the builder with Python 3.11")
    wanted = {"variant": variant, "python": list(PYTHON), "lock_sha256": _fingerprint(variant)}
    stamp = folder / STAMP
    if stamp.is_file():
        if json.loads(stamp.read_text()) == wanted:
            return _versions(folder / RUNTIME)
        shutil.rmtree(folder)
    elif folder.is_dir() and any(folder.iterdir()):
        problem = "The folder for the wheels holds something else"
        raise OutputError(problem, remedy="Name a folder that does not exist or that this program filled", path=folder)
    for part, fill in ((RUNTIME, lambda into: _runtime(into, variant, ours)), (TOOLS, _tools)):
        partial = folder / f".{part}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        fill(partial)
        partial.replace(folder / part)
        (folder / f"{part}.txt").write_text(hashed_list(folder / part))
    write_json(stamp, wanted)  # last: a folder with it is complete
    return _versions(folder / RUNTIME)


def hashed_list(folder: Path) -> str:
    """Requirements with hashes for all wheels of a folder."""
    lines = []
    for wheel in sorted(folder.glob("*.whl")):
        name, version = parse_wheel_filename(wheel.name)[:2]
        lines.append(f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    return "".join(lines)


def locked(variant: str) -> str:
    """The lock as constraints: the CPU variant takes the CPU build of torch."""
    text = LOCK.read_text()
    return re.sub(r"^(torch==[\w.]+)$", r"\1+cpu", text, flags=re.M) if variant == CPU else text


def _runtime(folder: Path, variant: str, ours: Path) -> None:
    """What our wheel with the extra `map` requires, less what the variant drops."""
    with TemporaryDirectory() as scratch:
        constraints = Path(scratch) / "constraints.txt"
        constraints.write_text(locked(variant))
        _pip("wheel", "--constraint", str(constraints), "--wheel-dir", str(folder), f"braintumor[map] @ {ours.as_uri()}")
    left_out = {canonicalize_name("braintumor"), *dropped(variant)}
    for wheel in folder.glob("*.whl"):
        if parse_wheel_filename(wheel.name)[0] in left_out:
            wheel.unlink()
    is_cpu = _versions(folder)["torch"].endswith("+cpu")
    if is_cpu != (variant == CPU):
        problem = f"pip found the {'CPU' if is_cpu else 'CUDA'} build of torch for the {variant} variant"
        raise PackagingError(problem, remedy="Check pip's index: PyPI has the CUDA build, " + TORCH_CPU + " the CPU build")


def _tools(folder: Path) -> None:
    _pip("wheel", "--wheel-dir", str(folder), SBOM_TOOL)


def _versions(folder: Path) -> dict[str, str]:
    return {str(name): str(version) for name, version, *_ in (parse_wheel_filename(w.name) for w in folder.glob("*.whl"))}


def _fingerprint(variant: str) -> str:
    """Changes with whatever decides which wheels are in the folder."""
    parts = [locked(variant), (ROOT / "pyproject.toml").read_text(), *sorted(dropped(variant)), SBOM_TOOL]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own words and paths
    if run.returncode:
        last = next((line for line in reversed(run.stderr.splitlines()) if line.startswith("ERROR")), "no reason given")
        remedy = f"Check the network and pip's index; for the CPU build of torch set PIP_EXTRA_INDEX_URL={TORCH_CPU}"
        raise PackagingError(f"pip could not provide the wheels ({last.removeprefix('ERROR: ')})", remedy=remedy)
