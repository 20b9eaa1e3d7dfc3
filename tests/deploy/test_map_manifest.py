"""The MAP image before it is built: manifests by the specification, tools script, wheels, choice of a container tool."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("yaml", reason="needs the extra 'map' (monai-deploy-app-sdk)")

from packaging.version import Version

import braintumor
from braintumor.cli import package as command
from braintumor.domain import errors

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "deploy" / "map" / "image"
MODULES = ("build", "containers", "manifests", "sbom", "sdk", "slim", "wheels")
SEMANTIC_VERSION = re.compile(r"\d+\.\d+\.\d+(-[\w.]+)?(\+[\w.]+)?")
MEMORY = re.compile(r"\d+(\.\d)?(Mi|Gi)")
VERSIONS = {"monai-deploy-app-sdk": "4.0.0", "holoscan-cu13": "4.6.0"}


@pytest.fixture
def builder(monkeypatch):
    """The builder's modules by name, imported as build.py imports them."""
    monkeypatch.syspath_prepend(str(IMAGE))
    yield {name: importlib.import_module(name) for name in MODULES}
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def application(builder):
    return builder["manifests"].app_manifest(VERSIONS["monai-deploy-app-sdk"])


@pytest.fixture(params=["cpu", "cuda"])
def package(builder, request):
    return builder["manifests"].package_manifest(request.param)


class TestApplicationManifest:
    """MAP 1.0.0, "Table of Application Manifest Fields" and "Table of Environment Variables"."""

    def test_required_fields_have_their_types(self, application):
        assert application["type"] in ("application", "service")
        assert isinstance(application["command"], str)
        for side in ("input", "output"):
            assert isinstance(application[side]["formats"], list)
            assert set(application[side]["formats"]) <= {"none", "network", "file", "screen"}
        assert application["output"]["format"]

    def test_optional_fields_have_their_types(self, application):
        for field in ("apiVersion", "sdkVersion", "version"):
            assert SEMANTIC_VERSION.fullmatch(application[field]), field
        assert application["workingDirectory"].startswith("/")
        assert isinstance(application["timeout"], int)
        assert application["timeout"] >= 0
        assert application["readiness"] is None  # a batch application has no probes
        assert application["liveness"] is None

    def test_no_other_fields(self, application):
        known = {"apiVersion", "command", "environment", "input", "liveness", "output", "readiness", "sdk", "sdkVersion"}
        assert set(application) == known | {"timeout", "type", "version", "workingDirectory"}

    def test_the_environment_has_every_variable_of_the_specification(self, application):
        required = {"INPUT_PATH", "OUTPUT_PATH", "WORKDIR", "MODEL_PATH", "CONFIG_PATH", "DOCS", "LOGS"}
        required |= {"APP_MANIFEST_PATH", "PKG_MANIFEST_PATH"}
        assert {f"HOLOSCAN_{name}" for name in required} <= set(application["environment"])
        assert all(value.startswith("/") for value in application["environment"].values())

    def test_places_are_those_of_the_specification(self, application):
        variables = application["environment"]
        assert variables["HOLOSCAN_APP_MANIFEST_PATH"] == "/etc/holoscan/app.json"
        assert variables["HOLOSCAN_PKG_MANIFEST_PATH"] == "/etc/holoscan/pkg.json"
        assert application["workingDirectory"] == "/var/holoscan"
        assert application["input"]["path"] == "/var/holoscan/input"
        assert application["output"]["path"] == "/var/holoscan/output"

    def test_the_version_is_the_package_s(self, application, builder):
        assert application["version"] == builder["manifests"].semantic(braintumor.__version__)

    @pytest.mark.parametrize(
        ("version", "semantic"),
        [("1.2.3", "1.2.3"), ("1.2.3.post1.dev4", "1.2.3+post1.dev4"), ("1.2.3.dev4+gab12", "1.2.3+dev4.gab12")],
    )
    def test_a_version_between_releases_is_a_semantic_one_too(self, builder, version, semantic):
        found = builder["manifests"].semantic(version)
        assert found == semantic
        assert SEMANTIC_VERSION.fullmatch(found)


class TestPackageManifest:
    """MAP 1.0.0, "Table of Package Manifest Fields"."""

    def test_fields_have_their_types(self, package):
        assert package["applicationRoot"] == "/opt/holoscan/app"
        assert package["modelRoot"] == "/opt/holoscan/models"
        assert SEMANTIC_VERSION.fullmatch(package["apiVersion"])
        assert package["version"].startswith(Version(braintumor.__version__).base_version)
        assert SEMANTIC_VERSION.fullmatch(package["version"])

    def test_models_have_names_as_allowed(self, package):
        assert len(package["models"]) == 1
        for model in package["models"]:
            assert set(model) == {"name", "path"}
            assert not re.search(r"[\s\x00-\x1f]", model["name"])
            assert len(model["name"].encode()) <= 128
            assert not model["path"].startswith("/")

    def test_resources_are_positive_and_have_units(self, package):
        resources = package["resources"]
        assert resources["cpu"] > 0
        for name in {"memory", "sharedMemory", "gpuMemory"} & set(resources):
            assert MEMORY.fullmatch(resources[name]), name
            assert float(resources[name][:-2]) > 0, name

    def test_only_the_cuda_variant_wants_a_gpu(self, builder):
        wanted = {variant: builder["manifests"].package_manifest(variant)["resources"]["gpu"] for variant in ("cpu", "cuda")}
        assert wanted == {"cpu": 0, "cuda": 1}


class TestLabels:
    def test_what_the_specification_requires_is_there(self, builder):
        labels = builder["manifests"].labels(VERSIONS, "base:1")
        assert labels["org.opencontainers.image.title"]
        assert labels["org.opencontainers.image.version"] == braintumor.__version__
        assert labels["org.opencontainers.image.base.name"] == "base:1"
        assert labels["org.monai.deploy.app-sdk"] == "4.0.0"

    def test_the_moment_can_be_given_for_a_repeatable_image(self, builder, monkeypatch):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
        labels = builder["manifests"].labels(VERSIONS, "base:1")
        assert labels["org.opencontainers.image.created"] == "1970-01-02T00:00:00+00:00"


class TestTools:
    @pytest.fixture
    def tools(self, application, package, tmp_path):
        def start(*arguments):
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            with subprocess.Popen([IMAGE / "tools", *arguments], env=variables, text=True, **pipes) as process:
                out, err = process.communicate(timeout=60)
            return SimpleNamespace(pid=process.pid, returncode=process.returncode, stdout=out, stderr=err)

        (tmp_path / "said.py").write_text("import os, sys; print(os.getpid(), sys.argv[1:]); sys.exit(7)")
        application["command"] = f"{sys.executable} {tmp_path / 'said.py'}"
        variables = {"PATH": "/usr/bin:/bin", **application["environment"]}
        for variable, content in (("APP", application), ("PKG", package)):
            file = tmp_path / f"{variable}.json"
            file.write_text(json.dumps(content, indent=2))
            variables[f"HOLOSCAN_{variable}_MANIFEST_PATH"] = str(file)
        return start

    def test_show_prints_one_manifest_as_it_is(self, tools, application, package):
        assert json.loads(tools("show", "app").stdout) == application
        assert json.loads(tools("show", "pkg").stdout) == package

    def test_show_prints_both(self, tools):
        printed = tools("show").stdout
        assert printed.index("= app.json =") < printed.index("= pkg.json =")

    def test_a_manifest_that_is_not_there_is_refused(self, tools):
        process = tools("show", "map")
        assert process.returncode == 1
        assert "app or pkg" in process.stderr

    def test_env_prints_the_variables_in_order(self, tools):
        lines = tools("env").stdout.splitlines()
        assert lines == sorted(lines)
        assert "HOLOSCAN_OUTPUT_PATH=/var/holoscan/output" in lines

    def test_help_names_every_command(self, tools):
        assert all(word in tools("help").stdout for word in ("show", "env", "extract", "help"))

    def test_extract_without_a_mount_says_what_to_do(self, tools):
        process = tools("extract")
        assert process.returncode == 1
        assert "Mount a folder" in process.stderr

    def test_anything_else_starts_the_application_with_its_options_and_status(self, tools):
        process = tools("-i", "a folder", "$HOME")
        assert process.returncode == 7
        assert process.stdout.split(" ", 1)[1] == "['-i', 'a folder', '$HOME']\n"

    def test_the_application_takes_the_place_of_the_script(self, tools):
        """Else a stopped container would kill the shell and leave the application to be killed hard."""
        process = tools()
        assert process.stdout.split()[0] == str(process.pid)


class TestContainerfile:
    def test_it_runs_as_user_1000_and_downloads_nothing(self):
        text = (IMAGE / "Containerfile").read_text()
        assert re.findall(r"^USER (.*)$", text, re.M)[-1] == "1000:1000"
        assert not re.search(r"apt-get|curl|wget|https?://", text)
        assert all("--no-index" in line for line in text.splitlines() if "pip" in line and " install" in line)

    def test_its_python_is_the_one_that_wheels_are_gathered_for(self, builder):
        version = ".".join(map(str, builder["wheels"].PYTHON))
        text = (IMAGE / "Containerfile").read_text()
        assert set(re.findall(r"python:?(3\.\d+)", text)) == {version}


class TestWheels:
    def test_the_cpu_variant_takes_the_cpu_build_of_torch(self, builder):
        lock = (ROOT / "requirements.lock").read_text()
        torch = re.search(r"^torch==(.*)$", lock, re.M)[1]
        assert f"\ntorch=={torch}+cpu\n" in builder["wheels"].locked("cpu")
        assert builder["wheels"].locked("cuda") == lock

    def test_the_list_has_the_hash_of_every_wheel(self, builder, tmp_path):
        (tmp_path / "some_thing-1.2-py3-none-any.whl").write_bytes(b"abc")
        expected = f"some-thing==1.2 --hash=sha256:{hashlib.sha256(b'abc').hexdigest()}\n"
        assert builder["wheels"].hashed_list(tmp_path) == expected

    def test_a_folder_with_something_else_is_left_alone(self, builder, tmp_path):
        (tmp_path / "letter.txt").write_text("mine")
        with pytest.raises(errors.OutputError):
            builder["wheels"].gather(tmp_path, "cpu", tmp_path / "ours.whl")
        assert (tmp_path / "letter.txt").read_text() == "mine"


class TestSlim:
    def test_what_is_dropped_is_in_the_lock(self, builder):
        """A name that left the lock, or was misspelt, would drop nothing without anyone noticing."""
        lock = {
            line.partition("==")[0].lower().replace("_", "-") for line in (ROOT / "requirements.lock").read_text().splitlines()
        }
        tools = {"pip", "setuptools", "wheel-axle-runtime"}  # pip freeze does not list what installs
        assert {*builder["slim"].DROPPED, *builder["slim"].FINISHERS} - tools <= lock

    def test_tests_of_libraries_go_and_modules_stay(self, builder, tmp_path):
        for path in (
            "a/tests/inner/tests/test_a.py",
            "a/testing.py",
            "torch/include/x.h",
            "torch/lib/x.so",
            "torch/bin/protoc",
        ):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("x")
        (tmp_path / "torch/bin/torch_shm_manager").write_text("x")
        builder["slim"].prune(tmp_path)
        left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
        assert left == ["a/testing.py", "torch/bin/torch_shm_manager", "torch/lib/x.so"]


class TestContainerTools:
    @pytest.fixture
    def programs(self, monkeypatch, tmp_path):
        """A PATH with pretended container tools of given exit statuses."""
        monkeypatch.setenv("PATH", str(tmp_path))

        def pretend(**statuses):
            for name, status in statuses.items():
                (tmp_path / name).write_text(f"#!/bin/sh\necho no daemon >&2\nexit {status}\n")
                (tmp_path / name).chmod(0o755)

        return pretend

    def test_one_without_its_daemon_is_passed_over(self, builder, programs):
        programs(docker=1, buildah=0)
        assert builder["containers"].find().name == "buildah"

    def test_the_one_that_is_named_is_taken(self, builder, programs):
        programs(docker=0, podman=0)
        assert builder["containers"].find("podman").name == "podman"

    def test_none_is_an_error_with_a_remedy(self, builder, programs):
        programs(docker=1)
        with pytest.raises(errors.NotInstalledError, match="docker, podman and buildah"):
            builder["containers"].find()

    def test_a_failed_export_leaves_nothing(self, builder, programs, tmp_path):
        programs(docker=3)
        target = tmp_path / "image.tar"
        with pytest.raises(errors.PackagingError, match="no daemon"):
            builder["containers"].Tool("docker").export("a:1", target)
        assert [path.name for path in tmp_path.iterdir()] == ["docker"]


class TestBuild:
    def test_the_context_has_the_layout_of_a_map(self, builder, tmp_path):
        wheels, ours = tmp_path / "wheels", tmp_path / "braintumor-0-py3-none-any.whl"
        (wheels / "runtime").mkdir(parents=True)
        (wheels / "runtime" / "x-1-py3-none-any.whl").write_text("x")
        ours.write_text("wheel")
        folder = tmp_path / "context"
        builder["build"].context(folder, wheels, "cpu", VERSIONS, ours)
        manifest = json.loads((folder / "root/etc/holoscan/pkg.json").read_text())
        assert manifest["platformConfig"] == "cpu"
        for path in (
            "opt/holoscan/app/__main__.py",
            "opt/holoscan/app/operators/__init__.py",
            "var/holoscan/app.yaml",
            "var/holoscan/input",
            "opt/holoscan/docs/LICENSE",
        ):
            assert (folder / "root" / path).exists(), path
        assert (folder / "root/var/holoscan/tools").stat().st_mode & 0o111 == 0o111
        assert (folder / "root/opt/holoscan/models" / manifest["models"][0]["path"] / "configs/metadata.json").is_file()
        assert (folder / "wheels/runtime/x-1-py3-none-any.whl").read_text() == "x"

    def test_the_sdk_s_packager_gets_the_same_application_and_every_requirement_on_its_own_line(self, builder, tmp_path):
        root, ours = tmp_path / "root", tmp_path / "ours.whl"
        (root / "opt/holoscan/app").mkdir(parents=True)
        (root / "opt/holoscan/app/__main__.py").write_text("pass")
        with zipfile.ZipFile(ours, "w") as wheel:
            wheel.writestr("braintumor/__init__.py", "")
        options = builder["sdk"].stage(root, tmp_path / "sdk", {"pydicom": "3", "monai-deploy-app-sdk": "4"}, ours)
        app = Path(options[-1])
        requirements = (app / "requirements.txt").read_text().splitlines()
        assert [line.partition("==")[0] for line in requirements] == ["monai-deploy-app-sdk", "pydicom"]
        assert "pip-packages" not in (app / "app.yaml").read_text()
        assert (app / "__main__.py").is_file()
        assert (Path(options[options.index("--add") + 1]) / "braintumor/__init__.py").is_file()

    def test_an_output_without_a_folder_is_refused_first(self, builder, capsys, tmp_path):
        status = builder["build"].main(["--output", str(tmp_path / "none" / "image.tar")])
        assert status == errors.OutputError.exit_code
        assert "does not exist" in capsys.readouterr().err

    def test_the_command_finds_the_builder_and_its_help(self):
        process = subprocess.run([sys.executable, str(command.BUILDER), "--help"], capture_output=True, text=True, check=False)
        assert process.returncode == 0
        assert "braintumor package --variant cuda" in process.stdout
