"""The command line as a person and as a script sees it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.main import get_command

from braintumor import __version__, pipeline
from braintumor.cli import COMMANDS, app, main
from braintumor.cli.console import STAGE_WORDS, fail
from braintumor.domain import GeometryError, errors


def call(*arguments):
    """Exit status of the command."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code or 0


def test_version_and_help(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out.strip() == f"braintumor {__version__}"
    assert call() == 0
    assert "inspect" in capsys.readouterr().out
    assert call("run", "--help") == 0
    text = capsys.readouterr().out
    for status, meaning in errors.exit_codes().items():
        assert str(status) in text
        assert meaning.split()[0] in text


def test_the_list_of_commands_says_what_each_says_of_itself_and_loads_none(capsys):
    group = get_command(app)
    with group.make_context("braintumor", [], resilient_parsing=True) as context:
        group.get_help(context)
        shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
        for name in COMMANDS:
            line = group.get_command(context, name).get_short_help_str(1000)
            assert " ".join(line.replace("`", "").split()) in shown.replace("`", ""), name
    listing = (
        "import sys; from braintumor.cli import app; app(['--help'], standalone_mode=False); print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    assert run.stdout.split()[-1] == "False"


def test_wrong_usage_is_status_2(capsys, tmp_path):
    assert call("run") == 2
    assert call("run", tmp_path, "-o", tmp_path / "out", "--bias", "sometimes") == 2
    assert call("nonsense") == 2
    assert "Usage" in capsys.readouterr().err


def test_run_prints_volumes_flags_and_places(dicom_study, tmp_path, capsys):
    out = tmp_path / "results"
    assert call("run", dicom_study, "-o", out, "--preview") == 0
    shown = capsys.readouterr()
    assert "Whole tumour (WT)" in shown.out
    assert "Not a medical device" in shown.out
    assert [line[:4] for line in shown.err.splitlines()] == [f"{n}/7 " for n in range(1, 8)]
    manifest = json.loads((out / "result.json").read_text())
    assert f"{manifest['measurements']['regions']['WT']['volume_ml']:.2f}" in shown.out
    assert (out / "preview.png").stat().st_size > 10_000


def test_run_json_is_the_manifest(nifti_study, tmp_path, capsys):
    out = tmp_path / "results"
    assert call("run", nifti_study, "-o", out, "--json") == 0
    assert json.loads(capsys.readouterr().out) == json.loads((out / "result.json").read_text())


def test_inspect_says_what_would_be_used_and_why(dicom_study, capsys):
    assert call("inspect", dicom_study) == 0
    shown = capsys.readouterr().out
    for name in ("t1ce", "flair"):
        assert name in shown.lower()
    assert call("inspect", dicom_study, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(row["used_as"] for row in found["series"] if row["used_as"]) == ["flair", "t1", "t1ce", "t2"]


def test_phantom_and_to_dicom_make_studies(tmp_path, capsys):
    assert call("phantom", "-o", tmp_path / "phantom", "--spacing", "4", "--nifti") == 0
    assert "true volumes" in capsys.readouterr().out
    assert call("to-dicom", tmp_path / "phantom" / "visit-1", "-o", tmp_path / "dicom") == 0
    assert call("inspect", tmp_path / "dicom") == 0


@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_is_one_plain_message_with_its_own_status(tmp_path, capsys, as_json, monkeypatch):
    arguments = ["run", str(tmp_path / "absent"), "-o", str(tmp_path / "out"), *(["--json"] if as_json else [])]
    monkeypatch.setattr("sys.argv", ["braintumor", *arguments])
    assert call(*arguments) == errors.InputNotFoundError.exit_code
    shown = capsys.readouterr()
    assert "what to do:" in shown.err
    assert "Traceback" not in shown.err
    assert not (tmp_path / "out").exists()
    if as_json:
        assert json.loads(shown.out)["error"] == "input-not-found"


def test_brackets_in_messages_are_shown_as_they_are(capsys):
    assert fail(GeometryError("Slice [7] is tilted", remedy="Send it again", path="a[1].dcm")) == 12
    shown = capsys.readouterr().err
    assert "Slice [7] is tilted" in shown
    assert "a[1].dcm" in shown


def test_a_full_output_folder_is_refused_before_any_work(dicom_study, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    assert call("run", dicom_study, "-o", tmp_path) == errors.OutputError.exit_code
    assert "Reading" not in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_interruption_is_status_130_and_leaves_nothing(nifti_study, tmp_path, capsys, monkeypatch):
    # A key press cannot be timed in a test; the same exception is raised where it would arrive.
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("braintumor.export.writing.write_mesh", interrupt)
    assert call("run", nifti_study, "-o", tmp_path / "out") == 130
    assert "nothing was written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def training(nifti_study, tmp_path):
    """A training configuration over two phantoms, one per fold, that takes seconds."""
    import shutil

    for name in ("one", "two"):
        target = tmp_path / "data" / "cases" / name
        target.mkdir(parents=True)
        for path in nifti_study.iterdir():
            shutil.copy(path, target / path.name.replace(nifti_study.name, name))
    config = {
        "volumes": "cases",
        "slices": "",
        "partial": "",
        "folds": "folds.json",
        "network": {"channels": [8, 16], "cbam": False},
        "train": {"steps": 4, "batch": 2, "size": [32, 32], "full_steps": 1, "full_batch": 1, "full_size": [64, 64]},
        "facts": {"name": "tiny", "version": "0"},
    }
    (tmp_path / "train.json").write_text(json.dumps(config))
    (tmp_path / "folds.json").write_text(json.dumps({"seed": 0, "k": 2, "groups": [], "folds": [["one"], ["two"]]}))
    return tmp_path


def test_train_on_everybody_publishes_a_model(training, capsys):
    from braintumor.segment.weights import load

    where = ("--data", training / "data", "-o", training / "work", "--publish", training / "model")
    assert call("train", training / "train.json", *where) == 0
    assert load(training / "model").name == "tiny"
    assert call("train", training / "absent.json", *where) == errors.InputNotFoundError.exit_code
    assert call("train", training / "train.json", *where, "--fold", "0") == 2


def weights_of(training, output):
    content = json.loads((training / output / "fold-1/model/configs/metadata.json").read_text())
    return content["checksum_sha256"]


def test_a_held_out_patient_and_its_twin_under_another_name_leave_no_trace_in_the_weights(training):
    """Fold 1 tests 'two', and 'three' may be the same person: whatever they look like, the weights are the same bits."""
    import shutil

    import nibabel as nib

    def again(name, twin):
        (training / "data/cases" / twin).mkdir()
        for path in (training / "data/cases" / name).iterdir():
            shutil.copy(path, training / "data/cases" / twin / path.name.replace(name, twin))

    again("two", "three")
    folds = {"seed": 0, "k": 3, "groups": [["three", "two"]], "folds": [["one"], ["three", "two"], ["four"]]}
    again("one", "four")
    (training / "folds.json").write_text(json.dumps(folds))
    where = ("--data", training / "data", "--fold", "1")
    assert call("train", training / "train.json", *where, "-o", training / "first") == 0
    for name in ("two", "three"):
        path = next((training / "data/cases" / name).glob("*_flair.nii.gz"))
        image = nib.load(path)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::-1].copy(), image.affine), path)
    assert call("train", training / "train.json", *where, "-o", training / "second") == 0
    assert weights_of(training, "first") == weights_of(training, "second")
    path = next((training / "data/cases/one").glob("*_flair.nii.gz"))
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::-1].copy(), image.affine), path)
    assert call("train", training / "train.json", *where, "-o", training / "third") == 0
    assert weights_of(training, "third") != weights_of(training, "first")  # those who are trained on do show


def test_train_by_folds_measures_each_case_with_the_network_that_never_saw_it(training, capsys):
    where = ("--data", training / "data", "-o", training / "work")
    assert call("train", training / "train.json", *where, "--fold", "all") == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == ["case", "one", "two", "mean"]
    assert sorted(path.name for path in (training / "work/predictions").iterdir()) == ["one.nii.gz", "two.nii.gz"]
    kept = json.loads((training / "work/fold-1/model/configs/metadata.json").read_text())
    assert kept["heldout"] == ["two"]
    assert call("train", training / "train.json", *where, "--fold", "7") == errors.InputNotFoundError.exit_code
    assert call("train", training / "train.json", *where, "--fold", "x") == 2
    (training / "folds.json").write_text(json.dumps({"seed": 0, "k": 1, "groups": [], "folds": [["three"]]}))
    assert call("train", training / "train.json", *where) == errors.InputNotFoundError.exit_code


def test_engine_names_are_checked(nifti_study, tmp_path):
    assert call("run", nifti_study, "-o", tmp_path / "out", "--engine", "abacus") == errors.EngineError.exit_code
    assert not np.any([path.name == "out" for path in tmp_path.iterdir()])


def test_progress_names_every_stage_in_its_order():
    assert tuple(STAGE_WORDS) == pipeline.STAGES
