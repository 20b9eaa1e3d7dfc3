"""Docker, podman and buildah behind one class: build, size, one file, archive."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from braintumor.domain import NotInstalledError, PackagingError

PROBES = {
    "docker": ("docker", "version", "--format", "{{.Server.Version}}"),
    "podman": ("podman", "info", "--format", "{{.Host.Arch}}"),
    "buildah": ("buildah", "info"),
}
"""Container tool -> a command that succeeds only where it can work (docker: its daemon answers), in order of preference."""


@dataclass(frozen=True, slots=True)
class Build:
    """What one build is made of.

    Attributes
    ----------
    tag
        ``name:tag`` of the image.
    arguments
        Build arguments of the Containerfile.
    """

    tag: str
    containerfile: Path
    context: Path
    arguments: Mapping[str, str]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tool:
    """One container tool, by the name of its program."""

    name: str

    def build(self, what: Build) -> None:
        """Build and tag an image without a network; the tool's own output goes to the terminal.

        Raises
        ------
        PackagingError
            If the tool fails; it has said why.
        """
        command = [self.name, "build", "--network=none", "--file", str(what.containerfile), "--tag", what.tag]
        if self.name != "docker":
            command.append("--format=oci")
        for option, pairs in (("--build-arg", what.arguments), ("--label", what.labels)):
            for key, value in pairs.items():
                command += [option, f"{key}={value}"]
        run = subprocess.run([*command, str(what.context)], check=False)  # noqa: S603  # our own words and paths
        if run.returncode:
            remedy = "Read what it says above; a base image that cannot be pulled is replaced with --base"
            raise PackagingError(f"{self.name} could not build the image", remedy=remedy)

    def size(self, tag: str) -> int:
        """Bytes of an image, uncompressed."""
        if self.name != "buildah":
            return int(self._ask("image", "inspect", "--format", "{{.Size}}", tag))
        manifest = json.loads(self._ask("inspect", "--type", "image", "--format", "{{.Manifest}}", tag))
        return sum(int(layer["size"]) for layer in manifest["layers"])

    def read(self, tag: str, path: str) -> str:
        """The text of one file of an image."""
        container = self._ask("from" if self.name == "buildah" else "create", tag)
        try:
            if self.name == "buildah":
                return self._ask("run", "--isolation=chroot", container, "cat", path)
            return self._copied(container, path)
        finally:
            with suppress(PackagingError):
                self._ask("rm", container)

    def export(self, tag: str, archive: Path) -> None:
        """Write an image as one tar file, whole or not at all."""
        partial = archive.with_name(f".{archive.name}.partial")
        partial.unlink(missing_ok=True)
        save = {
            "docker": ("save", "--output", str(partial), tag),
            "podman": ("save", "--format", "oci-archive", "--output", str(partial), tag),
            "buildah": ("push", tag, f"oci-archive:{partial}:{tag}"),
        }
        try:
            self._ask(*save[self.name])
            partial.replace(archive)
        finally:
            partial.unlink(missing_ok=True)

    def _copied(self, container: str, path: str) -> str:
        with TemporaryDirectory() as scratch:
            self._ask("cp", f"{container}:{path}", scratch)
            return (Path(scratch) / Path(path).name).read_text()

    def _ask(self, *arguments: str) -> str:
        run = subprocess.run([self.name, *arguments], capture_output=True, text=True, check=False)  # noqa: S603  # own words
        if run.returncode:
            said = (run.stderr.strip().splitlines() or ["it gave no reason"])[-1]
            raise PackagingError(
                f"{self.name} {arguments[0]} failed ({said})", remedy=f"Try `{self.name} {arguments[0]}` by hand"
            )
        return run.stdout.strip()


def find(name: str | None = None) -> Tool:
    """The container tool of that name, or the first that works here.

    Raises
    ------
    NotInstalledError
        If it, or every one, is missing or does not work (docker: no daemon).
    """
    for candidate in (name,) if name else PROBES:
        if shutil.which(candidate) and _works(candidate):
            return Tool(candidate)
    problem = f"{name} is not installed or does not work" if name else "None of docker, podman and buildah works here"
    raise NotInstalledError(problem, remedy="Install one of them (buildah needs no daemon), or name another with --tool")


def _works(name: str) -> bool:
    return subprocess.run(PROBES[name], capture_output=True, check=False).returncode == 0  # noqa: S603  # fixed words
