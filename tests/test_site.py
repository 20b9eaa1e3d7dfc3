"""The documentation's site: complete, built without a warning and without a network; and the notebook in it, run."""

import os
import re
import subprocess
import sys

import pytest
import yaml

from tests.data import ROOT

pytest.importorskip("mkdocs", reason="needs the extra 'docs'")

NOWHERE = "http://127.0.0.1:9"
"""A proxy that answers nothing: what asks for the network while the site is built fails."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder of the built site, and what the build said."""
    folder = tmp_path_factory.mktemp("site")
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"http_proxy": NOWHERE, "https_proxy": NOWHERE, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0, said
    return folder, said


@pytest.mark.campaign
def test_the_site_is_built_without_a_warning(site):
    folder, said = site
    assert "WARNING" not in said
    assert (folder / "index.html").is_file()


@pytest.mark.campaign
def test_no_page_loads_anything_from_elsewhere(site):
    folder, _ = site
    elsewhere = r'="?(?:https?:)?//'
    loads = re.compile(rf"<(?:script|img|iframe|source)[^>]* src{elsewhere}|<link[^>]* href{elsewhere}[^>]*stylesheet")
    fetches = re.compile(r"url\(.?(?:https?:)?//")
    pages = list(folder.rglob("*.html"))
    assert len(pages) > 15
    assert not [page.name for page in pages if loads.search(page.read_text(encoding="utf-8"))]
    assert not [sheet.name for sheet in folder.rglob("*.css") if fetches.search(sheet.read_text(encoding="utf-8"))]


@pytest.mark.campaign
def test_the_reference_has_every_command_and_exit_status(site):
    folder, _ = site
    commands = (folder / "reference" / "cli" / "index.html").read_text(encoding="utf-8")
    assert "braintumor run" in commands
    assert "--prior" in commands
    statuses = (folder / "reference" / "errors" / "index.html").read_text(encoding="utf-8")
    assert "more than one patient or study in one input" in statuses
    assert "<!-- " not in re.sub(r"<!-- (?!commands|exit codes)", "", commands + statuses)


def test_every_page_is_in_the_navigation():
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    named = re.findall(r"[\w/-]+\.(?:md|ipynb)", str(navigation))
    pages = [path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".ipynb")]
    assert sorted(named) == sorted(str(path.relative_to(ROOT / "docs")) for path in pages)


def test_the_notebook_runs(tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="needs the extra 'docs'")
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "docs" / "tutorials" / "first-study.ipynb", as_version=4)
    nbformat.validate(notebook)
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(o.get("text", "") for c in notebook.cells if c.cell_type == "code" for o in c.outputs)
    volumes = dict(re.findall(r"^(WT|TC|ET): ([\d.]+) mL$", printed, re.MULTILINE))
    assert set(volumes) == {"WT", "TC", "ET"}
    assert float(volumes["WT"]) > float(volumes["TC"]) > float(volumes["ET"]) > 0
    assert (tmp_path / "results" / "report.pdf").is_file()
