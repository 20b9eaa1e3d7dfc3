"""The MAP application: the same result as the pipeline, the same errors, and where it reads and writes."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

pytest.importorskip("monai.deploy", reason="needs the extra 'map' (monai-deploy-app-sdk)")

from braintumor import phantom, pipeline
from braintumor.domain import errors
from braintumor.report.versions import ReportFolder
from tests.data import RELEASE

ROOT = Path(__file__).resolve().parents[2]
MAP = ROOT / "deploy" / "map"


def run_app(*arguments, entry=MAP / "app.py", **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLOSCAN_")}
    command = [sys.executable, str(entry), *map(str, arguments)]
    return subprocess.run(command, env={**environment, **variables}, capture_output=True, text=True, timeout=280, check=False)


def masks(folder):
    return {str(path.relative_to(folder)): nib.load(path) for path in sorted(folder.rglob("*_dseg.nii.gz"))}


@pytest.fixture(scope="module")
def by_graph(dicom_study, tmp_path_factory):
    """The phantom study through the graph: (finished process, folder); the folder existed, as a mounted volume does."""
    out = tmp_path_factory.mktemp("graph")
    return run_app("-i", dicom_study, "-o", out, "-m", ROOT / "model"), out


@pytest.fixture
def by_pipeline(dicom_results):
    return dicom_results


@pytest.fixture
def app(monkeypatch):
    """The module deploy/map/app.py, imported as in the MAP image."""
    monkeypatch.syspath_prepend(str(MAP))
    for name in [name for name in os.environ if name.startswith("HOLOSCAN_")]:
        monkeypatch.delenv(name)
    module = importlib.import_module("app")
    yield module
    for name in ("app", "stack"):
        sys.modules.pop(name, None)


@pytest.mark.campaign
class TestSameStudySameResult:
    def test_it_ends_well_and_says_where_the_results_are(self, by_graph):
        process, out = by_graph
        assert process.returncode == 0, process.stderr
        assert str(out) in process.stdout

    def test_masks_are_voxel_equal(self, by_graph, by_pipeline):
        ours, theirs = masks(by_graph[1]), masks(by_pipeline)
        assert list(ours) == list(theirs)
        assert any(np.asarray(mask.dataobj).any() for mask in ours.values())
        for name, mask in ours.items():
            np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(theirs[name].dataobj), err_msg=name)
            np.testing.assert_array_equal(mask.affine, theirs[name].affine, err_msg=name)

    def test_the_manifests_differ_only_in_times_and_files(self, by_graph, by_pipeline):
        ours, theirs = (json.loads((folder / "result.json").read_text()) for folder in (by_graph[1], by_pipeline))
        assert set(ours["timings_s"]) == set(theirs["timings_s"])
        assert set(ours["outputs"]) == set(theirs["outputs"])
        for manifest in (ours, theirs):
            for changing in ("created", "timings_s", "outputs"):
                del manifest[changing]
        assert ours == theirs

    def test_only_stages_are_logged_so_no_patient_data(self, by_graph):
        line = re.compile(r"[\d: ,-]+ INFO operators\.line: stage (\w+) done in [\d.]+ s")
        logged = [line.fullmatch(text) for text in by_graph[0].stderr.splitlines()]
        assert all(logged), by_graph[0].stderr
        assert [match[1] for match in logged] == [stage for stage in pipeline.STAGES if stage != "engine"]

    def test_nothing_unfinished_stays_behind(self, by_graph):
        assert not [path.name for path in by_graph[1].iterdir() if path.name.startswith(".")]


@pytest.mark.realdata
@pytest.mark.campaign
def test_a_real_case_has_one_mask_by_all_three_ways(brats, tmp_path):
    case = brats / "BraTS2021_01657"
    study = phantom.case_to_dicom(case, tmp_path / "study")
    by_nifti = pipeline.run(case, tmp_path / "nifti").folder
    by_dicom = pipeline.run(study, tmp_path / "dicom").folder
    process = run_app("-i", study, "-o", tmp_path / "graph", "-m", ROOT / "model")
    assert process.returncode == 0, process.stderr
    first, *others = (
        np.asarray(nib.as_closest_canonical(next(iter(masks(folder).values()))).dataobj)
        for folder in (by_nifti, by_dicom, tmp_path / "graph")
    )
    differing = [int((first != other).sum()) for other in others]
    print(f"of {first.size} voxels, {np.count_nonzero(first)} tumour: {differing} differ from NIfTI's (DICOM, MAP graph)")
    assert first.any()
    assert differing == [0, 0]


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    """An input folder with current/, priors/ (a folder and a zip) and notes/."""
    home = tmp_path_factory.mktemp("input")
    options = phantom.PhantomOptions(seed=3, spacing_mm=(4, 4, 4), skull=False, visits=3, growth=1.5, tumour_ml=20)
    for visit, place in zip(phantom.make(options), ("priors/first", "priors/second", "current"), strict=True):
        phantom.write_dicom(visit, home / place)
    shutil.make_archive(str(home / "priors" / "second"), "zip", home / "priors" / "second")
    shutil.rmtree(home / "priors" / "second")
    (home / "notes").mkdir()
    (home / "notes" / "letter.txt").write_text("2023-05-02. Craniotomy and resection of a glioblastoma.")
    return home


class TestFollowUp:
    """An input with earlier studies and notes, and why the study was ordered."""

    def test_the_findings_are_those_of_the_pipeline(self, visits, tmp_path):
        process = run_app("-i", visits, "-o", tmp_path / "graph", BRAINTUMOR_REASON="Follow-up")
        assert process.returncode == 0, process.stderr
        priors = (visits / "priors" / "first", visits / "priors" / "second.zip")
        options = pipeline.RunOptions(priors=priors, notes=(visits / "notes",), reason="Follow-up")
        expected = pipeline.run(visits / "current", tmp_path / "pipeline", options).folder
        ours, theirs = (ReportFolder(folder / "report").latest().findings for folder in (tmp_path / "graph", expected))
        assert ours == theirs
        assert ours.request.reason == "Follow-up"
        assert len(ours.comparison.trend) == 3
        assert any("Craniotomy" in sentence.text for sentence in ours.context.sentences)

    def test_what_lies_loose_among_the_priors_is_refused(self, app, capsys, tmp_path):
        for folder in ("current", "priors"):
            (tmp_path / "in" / folder).mkdir(parents=True)
        (tmp_path / "in" / "priors" / "0001.dcm").write_bytes(b"")
        status = app.main(["-i", str(tmp_path / "in"), "-o", str(tmp_path / "out")])
        assert status == errors.InputNotFoundError.exit_code
        assert "0001.dcm" in capsys.readouterr().err

    def test_a_plain_study_may_hold_folders_of_any_name(self, app, tmp_path):
        for folder in ("priors", "notes"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "file").write_text("x")
        places = app.Places(tmp_path, tmp_path / "out", None)
        assert (places.study, places.priors, places.notes) == (tmp_path, (), ())

    def test_options_win_over_variables(self, app, monkeypatch):
        monkeypatch.setenv("BRAINTUMOR_REASON", "declared")
        monkeypatch.setenv("BRAINTUMOR_ORDER", "http://declared")
        declared = app.run_options(app.options([]))
        assert (declared.reason, declared.orders) == ("declared", "http://declared")
        chosen = app.options(["--reason", "said", "--order", "", "--prior", "a", "--prior", "b", "--notes", "c"])
        assert app.run_options(chosen) == pipeline.RunOptions(reason="said", priors=(Path("a"), Path("b")), notes=(Path("c"),))


class TestErrors:
    def test_unreadable_input_ends_with_the_stage_error_and_no_output(self, tmp_path):
        source, out = tmp_path / "in", tmp_path / "out"
        source.mkdir()
        (source / "letter.txt").write_text("no image")
        with pytest.raises(errors.BrainTumorError) as expected:
            pipeline.run(source, tmp_path / "other")
        process = run_app(HOLOSCAN_INPUT_PATH=str(source), HOLOSCAN_OUTPUT_PATH=str(out), entry=MAP)
        assert process.returncode == expected.value.exit_code == errors.InputNotFoundError.exit_code
        assert process.stderr == f"Error: {expected.value}\n"  # no traceback, and not holoscan's own account of it
        assert not out.exists()

    def test_altered_weights_are_refused(self, app, capsys, nifti_study, tmp_path):
        model = tmp_path / "model"
        shutil.copytree(ROOT / "model", model)
        weights = next(model.rglob("*.safetensors"))
        weights.write_bytes(weights.read_bytes()[:-1] + b"\0\0")
        status = app.main(["-i", str(nifti_study), "-o", str(tmp_path / "out"), "-m", str(model)])
        assert status == errors.WeightsError.exit_code
        assert capsys.readouterr().err.startswith("Error: ")
        assert not (tmp_path / "out").exists()

    def test_a_used_output_folder_is_refused_and_left_alone(self, app, nifti_study, tmp_path):
        (tmp_path / "result.json").write_text("{}")
        assert app.main(["-i", str(nifti_study), "-o", str(tmp_path)]) == errors.OutputError.exit_code
        assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
        assert (tmp_path / "result.json").read_text() == "{}"

    def test_a_graph_stopped_half_way_does_not_look_finished(self, app, capsys, monkeypatch, nifti_study, tmp_path):
        def stop(operator):
            operator.fragment.stop_execution()
            return "a study"

        monkeypatch.setattr(app.StudyReaderOperator, "run", stop)
        monkeypatch.setattr(app, "loaded_engine", lambda options: None)
        assert app.main(["-i", str(nifti_study), "-o", str(tmp_path / "out")]) == app.STOPPED
        assert "nothing was written" in capsys.readouterr().err


class TestPlaces:
    def test_options_win_over_variables(self, app, monkeypatch):
        monkeypatch.setenv("HOLOSCAN_INPUT_PATH", "/declared/in")
        monkeypatch.setenv("HOLOSCAN_OUTPUT_PATH", "/declared/out")
        monkeypatch.setenv("HOLOSCAN_MODEL_PATH", "/declared/model")
        declared = app.places(app.options([]))
        assert (declared.source, declared.out, declared.model) == (
            Path("/declared/in"),
            Path("/declared/out"),
            Path("/declared/model"),
        )
        chosen = app.places(app.options(["-i", "a", "-o", "b", "-m", "c"]))
        assert (chosen.source, chosen.out, chosen.model) == (Path("a"), Path("b"), Path("c"))

    def test_relative_variables_start_at_the_working_directory(self, app, monkeypatch):
        monkeypatch.setenv("HOLOSCAN_WORKDIR", "/var/holoscan")
        monkeypatch.setenv("HOLOSCAN_INPUT_PATH", "input")
        assert app.places(app.options([])).source == Path("/var/holoscan/input")
        assert app.places(app.options(["-w", "/elsewhere"])).source == Path("/elsewhere/input")

    def test_without_a_model_the_packaged_one_is_used(self, app):
        assert app.places(app.options([])).model is None

    def test_a_map_keeps_its_model_one_folder_down(self, app, tmp_path):
        inner = tmp_path / "models" / "tumour"
        (inner / "configs").mkdir(parents=True)
        (inner / "configs" / "metadata.json").write_text("{}")
        assert app.model_folder(inner) == inner
        assert app.model_folder(inner.parent) == inner

    @pytest.mark.parametrize("count", [0, 2])
    def test_no_or_several_models_are_refused(self, app, tmp_path, count):
        for number in range(count):
            (tmp_path / str(number) / "configs").mkdir(parents=True)
            (tmp_path / str(number) / "configs" / "metadata.json").write_text("{}")
        with pytest.raises(errors.WeightsError):
            app.model_folder(tmp_path)


class TestPackaging:
    def test_app_yaml_says_what_the_packager_reads(self, app):
        config = app.Application(["app"])
        config.config(str(MAP / "app.yaml"))
        application = config.kwargs("application")
        assert application["title"]
        assert application["version"] == RELEASE
        assert {"pip-packages", "input-formats", "output-formats"} <= set(application)
        assert config.kwargs("resources")["cpu"] >= 1
        assert config.kwargs("resources")["gpu"] == 0

    def test_app_yaml_and_requirements_name_the_same_packages(self):
        packages = re.search(r"pip-packages: \[(.*)\]", (MAP / "app.yaml").read_text()).group(1)
        required = [line for line in (MAP / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
        assert [package.strip(' "') for package in packages.split(",")] == required
