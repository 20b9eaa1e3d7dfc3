"""The MAP image, built on a debootstrap base and run by buildah without a network: takes minutes, so only on request.

    BRAINTUMOR_MAP_IMAGE=1 python -m pytest tests/deploy/test_map_image.py -s

Needs root, buildah, debootstrap and setpriv. BRAINTUMOR_MAP_CACHE names a folder that keeps the base and the wheels (some 3 GB)
for the next time.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from braintumor import phantom
from braintumor.domain import errors

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "deploy" / "map" / "image" / "build.py"
BASE, TAG = "localhost/braintumor-map-test-base", "localhost/braintumor-map:test"
MIRROR = os.environ.get("BRAINTUMOR_DEBIAN_MIRROR", "http://deb.debian.org/debian")
LARGEST = 2.5e9
EXPORT = "/run/holoscan/export"
"""/var/run/holoscan/export in other words: buildah would follow the link /var/run out of the container."""

CHANGES_WITH_TIME = {
    "InstanceCreationTime",
    "InstanceCreationDate",
    "SeriesDate",
    "SeriesTime",
    "ContentDate",
    "ContentTime",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "ContributingEquipmentSequence",
    "DimensionOrganizationSequence",
    "DimensionIndexSequence",
}

pytestmark = [
    pytest.mark.campaign,
    pytest.mark.skipif(not os.environ.get("BRAINTUMOR_MAP_IMAGE"), reason="builds an image: set BRAINTUMOR_MAP_IMAGE=1"),
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts and chroot need root"),
    *(
        pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")
        for tool in ("buildah", "debootstrap", "unshare")
    ),
]


def call(*command, **options):
    return subprocess.run([str(word) for word in command], text=True, check=True, **options)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    named = os.environ.get("BRAINTUMOR_MAP_CACHE")
    folder = Path(named) if named else tmp_path_factory.mktemp("map-cache")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module", autouse=True)
def storage(cache, tmp_path_factory):
    """Images in a folder of the test's own, by the driver and the isolation that work everywhere."""
    graph, run, file = cache / "storage", tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("conf") / "storage.conf"
    file.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{graph}"\nrunroot = "{run}"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_STORAGE_CONF", str(file))
        patch.setenv("BUILDAH_ISOLATION", "chroot")
        yield
        call("buildah", "rm", "--all", capture_output=True)
        call("buildah", "rmi", "--prune", "--force", capture_output=True)


@pytest.fixture(scope="module")
def base(cache, storage):
    """Debian with Python 3.11 as an image: what python:3.11-slim-bookworm is where images can be pulled."""
    if subprocess.run(["buildah", "inspect", "--type", "image", BASE], capture_output=True, check=False).returncode == 0:
        return BASE
    system = cache / "debian"
    if not (system / "usr/bin/python3.11").exists():
        shutil.rmtree(system, ignore_errors=True)
        packages = "--include=python3.11,python3-venv,ca-certificates"
        call("debootstrap", "--variant=minbase", packages, "bookworm", system, MIRROR, stdout=subprocess.DEVNULL)
        for leftover in (*system.glob("var/cache/apt/archives/*.deb"), *system.glob("var/lib/apt/lists/*_*")):
            leftover.unlink()
    container = call("buildah", "from", "scratch", capture_output=True).stdout.strip()
    call("buildah", "add", "--quiet", container, system, "/", capture_output=True)
    call("buildah", "commit", "--quiet", "--rm", container, BASE, capture_output=True)
    return BASE


@pytest.fixture(scope="module")
def image(base, cache):
    """The image's configuration as buildah tells it; prints what it took to build."""
    started = time.perf_counter()
    options = ("--base", base, "--tool", "buildah", "--tag", TAG, "--wheelhouse", cache / "wheels")
    call(sys.executable, BUILDER, *options, "--output", cache / "map.tar")
    print(f"\nbuilt in {time.perf_counter() - started:.0f} s")
    return json.loads(call("buildah", "inspect", "--type", "image", TAG, capture_output=True).stdout)


@pytest.fixture(scope="module")
def container(image):
    """(name, folder of its root)"""
    name = call("buildah", "from", TAG, capture_output=True).stdout.strip()
    return name, Path(call("buildah", "mount", name, capture_output=True).stdout.strip())


@pytest.fixture
def run(image, container, tmp_path):
    """Start the image as `docker run --network none --read-only --user 1000` does; volumes are (host, inside, options)."""
    name, _root = container
    config = image["OCIv1"]["config"]
    user, group = config["User"].split(":")
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    scratch.chmod(0o1777)
    for folder in (tmp_path, *tmp_path.parents[:2]):  # pytest makes them for its own user only
        folder.chmod(folder.stat().st_mode | 0o055)
    privileges = ("--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs", "--bounding-set", "-all")
    inside = f'mount -o remount,ro,bind / && exec setpriv {" ".join(privileges)} "$@"'

    def start(*arguments, volumes=(), entry=None):
        mounts = [word for volume in ((scratch, "/tmp"), *volumes) for word in ("-v", ":".join(map(str, volume)))]
        command = ["unshare", "--net", "--mount", "buildah", "run", "--isolation", "chroot", "--user", "0:0"]
        command += ["--cap-add", "CAP_SYS_ADMIN", *mounts, name, "--", "sh", "-c", inside, "sh"]
        command += [*(entry or config["Entrypoint"]), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)

    start.scratch = scratch
    return start


def for_user_1000(folder):
    folder.mkdir()
    os.chown(folder, 1000, 1000)
    return folder


def differing(ours, theirs):
    """Keywords of attributes that differ between two objects, pixels aside."""
    tags = ({*ours.keys()} | {*theirs.keys()}) - {pydicom.tag.Tag("PixelData")}
    return {pydicom.datadict.keyword_for_tag(tag) for tag in tags if ours.get(tag) != theirs.get(tag)}


class TestImage:
    def test_it_is_no_larger_than_aimed_at(self, container, cache):
        _, root = container
        size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_symlink() or path.is_file())
        print(f"\n{size} bytes uncompressed, {(cache / 'map.tar').stat().st_size} bytes as an archive")
        assert size <= LARGEST

    def test_it_follows_the_layout_of_a_map(self, container, image):
        _, root = container
        config = image["OCIv1"]["config"]
        application, package = (json.loads((root / "etc/holoscan" / name).read_text()) for name in ("app.json", "pkg.json"))
        assert config["User"] == "1000:1000"
        assert config["WorkingDir"] == application["workingDirectory"]
        assert dict(entry.split("=", 1) for entry in config["Env"]).items() >= application["environment"].items()
        for path in application["environment"].values():
            assert (root / path.lstrip("/")).exists(), path
        for model in package["models"]:
            assert (root / package["modelRoot"].lstrip("/") / model["path"] / "configs" / "metadata.json").is_file()
        assert config["Labels"]["org.opencontainers.image.version"] == application["version"] == package["version"]

    def test_the_bill_of_materials_names_every_package(self, container, cache):
        _, root = container
        bill = json.loads((root / "opt/holoscan/docs/sbom.cdx.json").read_text())
        assert bill["bomFormat"] == "CycloneDX"
        named = {(component["name"].lower().replace("_", "-"), component["version"]) for component in bill["components"]}
        installed = set()
        for metadata in root.glob("opt/venv/lib/python3.11/site-packages/*.dist-info/METADATA"):
            name, version = (re.search(rf"^{key}: (.*)$", metadata.read_text(), re.M)[1] for key in ("Name", "Version"))
            installed.add((re.sub(r"[-_.]+", "-", name).lower(), version))
        assert len(installed) > 50
        assert installed <= {(re.sub(r"[-_.]+", "-", name), version) for name, version in named}
        assert any(component.get("purl", "").startswith("pkg:deb/debian/libc6@") for component in bill["components"])
        assert json.loads((cache / "map.cdx.json").read_text()) == bill

    def test_nothing_in_it_can_be_written_by_its_user(self, container):
        _, root = container
        own = {"var/holoscan/input", "var/holoscan/output", "var/holoscan/logs"}
        found = [path for top in ("opt", "etc", "var/holoscan") for path in (root / top).rglob("*")]
        writable = {
            str(path.relative_to(root))
            for path in found
            if not path.is_symlink() and (path.stat().st_uid == 1000 or path.stat().st_mode & 0o002)
        }
        assert writable == own


class TestTools:
    def test_the_cage_is_one(self, run):
        """What the other tests rely on: user 1000, no network, nothing but /tmp can be written."""
        files = "/x /opt/x /var/holoscan/output/x"
        tries = f"id -u; grep -c : /proc/net/dev; touch {files} 2>&1 | grep -c Read-only; touch /tmp/x && echo yes"
        assert run(entry=("sh", "-c", tries)).stdout.split() == ["1000", "1", "3", "yes"]

    def test_show_prints_the_manifests(self, run, container):
        _, root = container
        for name in ("app", "pkg"):
            assert run("show", name).stdout == (root / f"etc/holoscan/{name}.json").read_text()
        assert json.loads(run("show", "app").stdout)["command"] in run("show").stdout

    def test_env_and_help(self, run):
        assert "HOLOSCAN_INPUT_PATH=/var/holoscan/input" in run("env").stdout.splitlines()
        assert "/var/run/holoscan/export/config" in run("help").stdout

    def test_extract_copies_everything_to_one_mount(self, run, tmp_path):
        out = for_user_1000(tmp_path / "export")
        process = run("extract", volumes=[(out, EXPORT)])
        assert process.returncode == 0, process.stderr
        assert sorted(path.name for path in out.iterdir()) == ["app", "config", "docs", "models"]
        assert sorted(path.name for path in (out / "config").iterdir()) == ["app.json", "app.yaml", "pkg.json"]
        assert (out / "app/__main__.py").is_file()
        assert list(out.glob("models/*/models/*.safetensors"))

    def test_extract_copies_one_part_to_its_mount(self, run, tmp_path):
        out = for_user_1000(tmp_path / "config")
        assert run("extract", volumes=[(out, f"{EXPORT}/config")]).returncode == 0
        assert sorted(path.name for path in out.iterdir()) == ["app.json", "app.yaml", "pkg.json"]


class TestStudies:
    @pytest.mark.realdata
    def test_a_real_study_gets_the_mask_of_the_command_line(self, run, brats, tmp_path):
        study = phantom.case_to_dicom(brats / "BraTS2021_01657", tmp_path / "study")
        out = for_user_1000(tmp_path / "out")
        started = time.perf_counter()
        process = run(volumes=[(study, "/var/holoscan/input", "ro"), (out, "/var/holoscan/output")])
        took = time.perf_counter() - started
        assert process.returncode == 0, process.stderr
        call(sys.executable, "-m", "braintumor", "run", study, "-o", tmp_path / "cli", capture_output=True)
        ours, theirs = (pydicom.dcmread(folder / "dicom/segmentation.dcm") for folder in (out, tmp_path / "cli"))
        assert ours.pixel_array.any()
        np.testing.assert_array_equal(ours.pixel_array, theirs.pixel_array)
        assert differing(ours, theirs) <= CHANGES_WITH_TIME
        files = [sorted(str(p.relative_to(folder)) for p in folder.rglob("*")) for folder in (out, tmp_path / "cli")]
        assert files[0] == files[1]
        for name in (path for path in files[0] if path.endswith(".nii.gz")):
            one, other = (nib.load(folder / name) for folder in (out, tmp_path / "cli"))
            np.testing.assert_array_equal(np.asarray(one.dataobj), np.asarray(other.dataobj), err_msg=name)
        assert not list(run.scratch.iterdir()), "something was left in /tmp"
        print(f"\nstarted, ran and ended in {took:.1f} s; {int(ours.pixel_array.sum())} voxels of masks, none differs")

    def test_a_head_with_its_skull_on_is_segmented_without_what_was_dropped(self, run, tmp_path):
        visit = phantom.make(phantom.PhantomOptions(seed=3, spacing_mm=(3.0, 3.0, 3.0), skull=True))[0]
        phantom.write_dicom(visit, tmp_path / "study")
        out = for_user_1000(tmp_path / "out")
        process = run(volumes=[(tmp_path / "study", "/var/holoscan/input", "ro"), (out, "/var/holoscan/output")])
        assert process.returncode == 0, process.stderr
        assert "deepbet" in (out / "result.json").read_text()

    def test_an_unreadable_study_ends_with_its_own_status_and_no_output(self, run, tmp_path):
        source, out = tmp_path / "in", for_user_1000(tmp_path / "out")
        source.mkdir()
        process = run(volumes=[(source, "/var/holoscan/input", "ro"), (out, "/var/holoscan/output")])
        assert process.returncode == errors.InputNotFoundError.exit_code, process.stderr
        assert process.stderr.startswith("Error: ")
        assert not list(out.iterdir())
