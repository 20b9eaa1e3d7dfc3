"""Every command and Python block that a document shows: run on phantoms in a scratch folder, or listed with the reason."""

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec

import pytest
from typer.main import get_command

from braintumor.cli import app, main
from tests.data import ROOT

TOP = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md")
DOCUMENTS = [path.relative_to(ROOT) for path in (*(ROOT / name for name in TOP), *sorted(ROOT.glob("docs/**/*.md")))]

SUBSTITUTES = {
    # A phantom of 1 mm would take longer than all other commands together.
    "braintumor phantom -o phantom/": "braintumor phantom -o phantom/ --spacing 4",
    # The scratch folder has a study already.
    "braintumor to-dicom BraTS20_Training_001/ -o study/": "braintumor to-dicom BraTS20_Training_001/ -o new/",
    # Only a final report can be amended; `results` is a draft.
    "braintumor report amend out --by 'Dr A. Rao' --reason 'second reading'": (
        "braintumor report amend approved --by 'Dr A. Rao' --reason 'second reading'"
    ),
    "braintumor report verify out/report/v0002.pdf": "braintumor report verify approved/report/v0002.pdf",
    # The scratch folder has a key already.
    "braintumor report key -o rao.p12 --name 'Dr A. Rao'": "braintumor report key -o new.p12 --name 'Dr A. Rao'",
}
"""Command as written -> what is run."""

NOT_RUN = {
    "braintumor train": "tests/cli/test_cli.py trains on phantoms with a configuration small enough for a test",
    "braintumor evaluate": "needs cases with experts' masks; tests/evaluate",
    "braintumor model calibrate": "changes the model folder that it is given; tests/evaluate/test_temperature.py",
    "python deploy/map/app.py": "starts Holoscan; tests/deploy/test_map_graph.py runs the same command",
    "braintumor serve": "does not end; tests/server/test_faults.py starts it",
    "monailabel": "does not end; tests/server/test_faults.py starts it",
    "braintumor viewer fetch": "downloads 48 MB; tests/viewer",
    "braintumor report rewrite": "needs a language model; tests/report/rewriting",
    "braintumor report send": "needs a FHIR server; tests/fhir and tests/cli/test_report.py",
    "braintumor deidentify export study/": "needs a key and a vault; tests/cli/test_deidentify.py",
    "braintumor deidentify reveal": "needs a vault; tests/cli/test_deidentify.py",
    "braintumor package": "builds an image; tests/deploy/test_map_image.py",
    "braintumor node": "needs a running node; tests/node/test_node.py",
    "make": "installs into a fresh environment; CI runs demo and test",
}
"""Beginning of a command -> why it is only checked for being possible: known target, module, file or options."""

GROUP = get_command(app)
COMMANDS = {name: GROUP.get_command(None, name) for name in GROUP.list_commands(None)}


@dataclass(frozen=True)
class Code:
    """One ```python block."""

    text: str


def in_blocks(text):
    """What a document shows, in its order: `Code`, and the commands of ```sh and ```console blocks, one for each && part."""
    found = []
    for language, block in re.findall(r"^```(sh|console|python)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language == "python":
            found.append(Code(block))
        else:
            lines = [re.sub(r"^\$ ", "", line) for line in block.replace("\\\n", " ").splitlines()]
            found += parts(line for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return found


def parts(lines):
    return [shlex.join(shlex.split(part, comments=True)) for line in lines for part in line.split("&&")]


def all_commands(command=None, path="braintumor"):
    """(name, help) of every command, groups entered."""
    for name, found in COMMANDS.items() if command is None else command.commands.items():
        if hasattr(found, "commands"):
            yield from all_commands(found, f"{path} {name}")
        else:
            yield f"{path} {name}", found.help or ""


SHOWN = [(str(path), in_blocks((ROOT / path).read_text(encoding="utf-8"))) for path in DOCUMENTS]
SHOWN += [(name, parts(re.findall(r"\[dim\](braintumor .+?)\[/\]", text))) for name, text in all_commands()]
SHOWN = [pytest.param(commands, id=name.replace(" ", "-")) for name, commands in SHOWN if commands]


@pytest.fixture(scope="session")
def reported(dicom_study, tmp_path_factory):
    """A key, results whose report is a draft, and a copy of them whose report is final."""
    base = tmp_path_factory.mktemp("reported")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAINTUMOR_KEY_PASSPHRASE", "a passphrase")
        assert run(f"braintumor report key -o {base}/rao.p12 --name 'Dr A. Rao'") == 0
        assert run(f"braintumor run {dicom_study} -o {base}/out") == 0
        shutil.copytree(base / "out", base / "approved")
        assert run(f"braintumor report approve {base}/approved --key {base}/rao.p12") == 0
    return base


@pytest.fixture
def scratch(tmp_path, dicom_study, nifti_study, reported, monkeypatch):
    """A folder with the inputs that documents name, and the project's files that they use."""
    for name in ("out", "approved"):
        shutil.copytree(reported / name, tmp_path / name)
    shutil.copy(reported / "rao.p12", tmp_path)
    (tmp_path / "impression.txt").write_text("Seen and agreed.\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "letter.txt").write_text("Date: 2024-02-01\n\nResection on 20 January 2024.\n")
    monkeypatch.setenv("BRAINTUMOR_KEY_PASSPHRASE", "a passphrase")
    (tmp_path / "demo" / "study").mkdir(parents=True)
    for name in ("study", "demo/study/visit-1"):
        (tmp_path / name).symlink_to(dicom_study)
    (tmp_path / "BraTS20_Training_001").symlink_to(nifti_study)
    (tmp_path / "model").symlink_to(ROOT / "model")
    shutil.make_archive(str(tmp_path / "study"), "zip", dicom_study)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command):
    """Exit status of a braintumor command."""
    with pytest.raises(SystemExit) as stopped:
        main(shlex.split(command)[1:])
    return stopped.value.code or 0


def possible(command):
    """Raise if a command that is not run could not even start."""
    words = shlex.split(command)
    if words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True, timeout=20)
    elif words[:2] == ["python", "-m"]:
        assert find_spec(words[2]), f"no module {words[2]}"
    elif words[0] == "monailabel":
        assert find_spec("monailabel"), "MONAI Label is not installed"
    elif words[0] == "python":
        assert (ROOT / words[1]).is_file(), f"no file {words[1]}"
    else:
        COMMANDS[words[1]].make_context(words[1], words[2:])  # refuses unknown and missing options; runs nothing


@pytest.mark.campaign
@pytest.mark.parametrize("commands", SHOWN)
def test_every_command_shown_works(commands, scratch):
    names = {}  # of the document's Python blocks, which go on from each other as a reader's session does
    for command in commands:
        if isinstance(command, Code):
            exec(compile(command.text, "the document's Python", "exec"), names)
            continue
        reason = next((NOT_RUN[start] for start in NOT_RUN if command.startswith(start)), None)
        if reason:
            possible(command)
        else:
            assert command.startswith("braintumor "), f"neither run nor listed in NOT_RUN: {command}"
            assert run(SUBSTITUTES.get(command, command)) == 0, command


def test_every_command_has_an_example_in_its_help():
    without = [name for name, text in all_commands() if "[dim]braintumor " not in text]
    assert not without


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands_named_in_prose_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    named = set(re.findall(r"`braintumor ([a-z][a-z-]*)", text))
    assert named <= set(COMMANDS)
    for command in re.findall(r"`((?:make|python -m) [\w.]+)", text):
        possible(command)


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_files_linked_and_pictures_shown_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert ((ROOT / document).parent / target).exists(), target


def test_lists_hold_nothing_that_is_not_shown():
    """What is listed above and shown no more would be a stale excuse."""
    shown = [command for parameter in SHOWN for command in parameter.values[0] if not isinstance(command, Code)]
    assert all(command in shown for command in SUBSTITUTES)
    assert not [start for start in NOT_RUN if not any(c.startswith(start) for c in shown)]


def test_the_glossary_says_regions_and_responses_in_hindi_as_the_report_does():
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = (ROOT / "lib" / "braintumor" / "report" / "language" / "hi.ftl").read_text(encoding="utf-8")
    said = re.findall(r"^(?:region|response)-[A-Z]+ = ([^(\n]+)", words, re.MULTILINE)
    assert len(said) >= 10
    assert not [term for term in said if f"| {term.strip()}" not in glossary]
