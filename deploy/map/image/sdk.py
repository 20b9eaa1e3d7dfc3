"""The same application by the SDK's packager (`monai-deploy package` of holoscan-cli 4.2), which needs Docker."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import manifests
import yaml
from wheels import LOCK

from braintumor.domain import NotInstalledError, PackagingError

PROGRAM = "monai-deploy"
PACKAGER = "holoscan-cli==4.2.0"
"""The last line that has a packager; its own Dockerfile brings Ubuntu, CUDA and Python 3.12."""


def stage(root: Path, folder: Path, versions: dict[str, str], ours: Path) -> list[str]:
    """Lay out what the packager reads, from the image's root folder of our own build.

    Our wheel is on no index, so it travels unpacked as a library. The packager joins `pip-packages` without line ends, so they
    all go into requirements.txt, at the versions of the lock.

    Returns
    -------
    options
        Of ``monai-deploy package`` for these folders.
    """
    shutil.copytree(root / "opt/holoscan/app", folder / "app")
    config = yaml.safe_load(manifests.CONFIG.read_text())
    del config["application"]["pip-packages"]
    (folder / "app" / "app.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    pins = [line for line in LOCK.read_text().splitlines() if _normal(line.partition("==")[0]) in versions]
    (folder / "app" / "requirements.txt").write_text("\n".join(pins) + "\n")
    with zipfile.ZipFile(ours) as wheel:
        wheel.extractall(folder / "lib")
    places = ("--config", folder / "app" / "app.yaml", "--models", root / "opt/holoscan/models")
    return [str(word) for word in (*places, "--docs", root / "opt/holoscan/docs", "--add", folder / "lib", folder / "app")]


def build(tag: str, staged: list[str], sdk_version: str) -> None:
    """Start the packager.

    Raises
    ------
    NotInstalledError
        If it is not there.
    PackagingError
        If it fails; it has said why.
    """
    if shutil.which(PROGRAM) is None:
        raise NotInstalledError(f"{PROGRAM} is not installed", remedy=f"Install {PACKAGER} and our requirements beside it")
    fixed = [PROGRAM, "package", "--sdk", "monai-deploy", "--sdk-version", sdk_version, "--platform", "x86_64", "--tag", tag]
    if subprocess.run([*fixed, *staged], check=False).returncode:  # noqa: S603  # our own words and paths
        raise PackagingError("The SDK's packager could not build the image", remedy="Read what it says above; it needs Docker")


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
