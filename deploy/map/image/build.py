"""Build the MAP image (MONAI Application Package 1.0.0) with docker, podman or buildah.

The image holds the application, the model, every dependency at its locked version, licences and a bill of materials. It runs
as user 1000 without a network and with a read-only root.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import containers
import manifests
import sdk
import wheels
from manifests import CONTAINERFILE, HERE, ROOT
from slim import CPU, CUDA, VARIANTS

import braintumor
from braintumor.cli.console import fail
from braintumor.domain import BrainTumorError, InputNotFoundError, OutputError, write_bytes, write_json

APP = ("__main__.py", "app.py", "stack.py")
DOCUMENTS = ("LICENSE", "NOTICE", "model/docs/README.md")
BILL = "sbom.cdx.json"
"""The bill of materials among the image's documents, where the Containerfile puts it."""

SDK = "monai-deploy-app-sdk"
WORK = ROOT / "build" / "map"
"""Where wheels are kept between builds, and the bill of materials is written."""

EXAMPLES = """examples:
  braintumor package
  braintumor package --variant cuda --tag braintumor-map:0.1.0-cuda
  braintumor package --wheelhouse wheels --wheels-only      with a network: gather what a build needs
  braintumor package --wheelhouse wheels --base IMAGE       without a network, the base image being there
  braintumor package --output braintumor-map.tar            one file to carry to another machine
"""


def context(folder: Path, wheelhouse: Path, variant: str, versions: dict[str, str], ours: Path) -> None:
    """Lay out the build context: `root/` becomes the image's root, the rest serves the build stage.

    Parameters
    ----------
    versions
        Package -> version, as `wheels.gather` returns them.
    ours
        The wheel of this repository.
    """
    root = folder / "root"
    for part in (
        "opt/holoscan/app",
        "opt/holoscan/docs",
        "etc/holoscan",
        *(f"var/holoscan/{p}" for p in ("input", "output", "logs")),
    ):
        (root / part).mkdir(parents=True)
    for name in APP:
        shutil.copy(HERE.parent / name, root / "opt/holoscan/app" / name)
    shutil.copytree(ROOT / "operators", root / "opt/holoscan/app/operators", ignore=shutil.ignore_patterns("__pycache__"))
    for name in DOCUMENTS:
        shutil.copy(ROOT / name, root / "opt/holoscan/docs" / name.replace("/", "-"))
    shutil.copytree(ROOT / "model", root / "opt/holoscan/models" / manifests.model_name())
    shutil.copy(manifests.CONFIG, root / "var/holoscan/app.yaml")
    shutil.copy(HERE / "tools", root / "var/holoscan/tools")
    (root / "var/holoscan/tools").chmod(0o755)
    write_json(root / "etc/holoscan/app.json", manifests.app_manifest(versions[SDK]))
    write_json(root / "etc/holoscan/pkg.json", manifests.package_manifest(variant))
    for name in ("sbom.py", "slim.py"):
        shutil.copy(HERE / name, folder / name)
    (folder / "ours").mkdir()
    shutil.copy(ours, folder / "ours" / ours.name)
    shutil.copytree(wheelhouse, folder / "wheels", copy_function=_link)


def _link(source: str, target: str) -> None:
    """Half a gigabyte of wheels is linked where the file system can."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy(source, target)


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="braintumor package", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tag", metavar="NAME:TAG", help="default: braintumor-map:VERSION-VARIANT")
    parser.add_argument("--variant", choices=VARIANTS, default=CPU, help=f"{CPU}: OpenVINO; {CUDA}: PyTorch on an NVIDIA GPU")
    parser.add_argument("--base", metavar="IMAGE", help="base image with Python 3.11 (default: the Containerfile's)")
    parser.add_argument(
        "--tool",
        choices=(*containers.PROBES, sdk.PROGRAM),
        help=f"default: the first that works of the first three; {sdk.PROGRAM}: the SDK's packager ({sdk.PACKAGER}, Docker)",
    )
    parser.add_argument(
        "--wheelhouse", metavar="FOLDER", type=Path, help="folder of wheels, filled if it is not (default: build/map)"
    )
    parser.add_argument("--wheels-only", action="store_true", help="fill the folder of wheels and stop")
    parser.add_argument("--output", metavar="FILE.tar", type=Path, help="also write the image as one file")
    return parser.parse_args(arguments)


@contextmanager
def _step(number: int, words: str) -> Iterator[None]:
    print(f"{number}/4 {words} ...", file=sys.stderr, flush=True)
    started = time.perf_counter()
    yield
    print(f"{number}/4 {words}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


def package(chosen: argparse.Namespace) -> None:
    """Build what the command line asks for and say where it is and how large.

    Raises
    ------
    BrainTumorError
        Of the kind that says what is wrong; no image is tagged then.
    """
    _check(chosen)
    by_sdk = chosen.tool == sdk.PROGRAM
    tool = None if chosen.wheels_only or by_sdk else containers.find(chosen.tool)
    wheelhouse = chosen.wheelhouse or WORK / f"wheels-{chosen.variant}"
    tag = chosen.tag or f"braintumor-map:{braintumor.__version__}-{chosen.variant}"
    WORK.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=WORK) as scratch:
        folder = Path(scratch)
        with _step(1, "Wheels"):
            ours = wheels.build_ours(folder)
            versions = wheels.gather(wheelhouse, chosen.variant, ours)
        if chosen.wheels_only:
            print(f"{len(versions)} packages in {wheelhouse}")
            return
        with _step(2, "Context"):
            context(folder / "context", wheelhouse, chosen.variant, versions, ours)
        with _step(3, f"Image {tag}, by {chosen.tool if tool is None else tool.name}"):
            if tool is None:
                sdk.build(tag, sdk.stage(folder / "context/root", folder / "sdk", versions, ours), versions[SDK])
                return
            _build(tool, tag, folder / "context", chosen, versions)
    with _step(4, "Bill of materials" + (f" and {chosen.output}" if chosen.output else "")):
        _finish(tool, tag, chosen)


def _build(tool: containers.Tool, tag: str, folder: Path, chosen: argparse.Namespace, versions: dict[str, str]) -> None:
    base = chosen.base or default_base()
    arguments = {"BASE": base, "VARIANT": chosen.variant, "MODEL": manifests.model_name()}
    tool.build(containers.Build(tag, CONTAINERFILE, folder, arguments, manifests.labels(versions, base)))


def _finish(tool: containers.Tool, tag: str, chosen: argparse.Namespace) -> None:
    """Write the bill of materials beside the output, and the image as a file where that is asked for."""
    bill = tool.read(tag, f"{manifests.environment()['HOLOSCAN_DOCS_PATH']}/{BILL}")
    beside = chosen.output.with_suffix(".cdx.json") if chosen.output else WORK / f"sbom-{chosen.variant}.cdx.json"
    write_bytes(beside, bill.encode())
    print(f"Image {tag}: {tool.size(tag) / 1e9:.2f} GB uncompressed")
    print(f"{beside}: {len(json.loads(bill)['components'])} components")
    if chosen.output:
        tool.export(tag, chosen.output)
        print(f"{chosen.output}: {chosen.output.stat().st_size / 1e9:.2f} GB")


def default_base() -> str:
    """The base image that the Containerfile names."""
    return next(line.partition("BASE=")[2] for line in CONTAINERFILE.read_text().splitlines() if line.startswith("ARG BASE="))


def _check(chosen: argparse.Namespace) -> None:
    """Refuse before minutes of work what would fail after them."""
    if not (ROOT / "model" / "configs" / "metadata.json").is_file():
        raise InputNotFoundError("The model folder is not there", remedy="Start from a whole checkout", path=ROOT / "model")
    if chosen.output and not chosen.output.absolute().parent.is_dir():
        raise OutputError("The folder of the output does not exist", remedy="Make it first", path=chosen.output)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build; returns the exit status, which is that of the `braintumor` command for the same error."""
    chosen = options(sys.argv[1:] if arguments is None else arguments)
    try:
        package(chosen)
    except BrainTumorError as error:
        return fail(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
