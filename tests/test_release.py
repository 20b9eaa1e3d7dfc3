"""One version: made from the git tag, and the release that recipes and documents name."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import metadata, version

import pytest
import yaml

import braintumor
from tests.data import RELEASE, ROOT

NAMED = {
    "deploy/compose/compose.yaml": r"image: braintumor:(\S+)",
    "deploy/compose/Containerfile": r"--tag braintumor:(\S+)",
    "deploy/helm/braintumor/Chart.yaml": r"ersion: ([\d.]+)$",
    "deploy/map/app.yaml": r"version: ([\d.]+)$",
    "deploy/map/image/build.py": r"braintumor-map:([\d.]+)-",
    "docs/map.md": r"braintumor-map:([\d.]+)-",
    "lib/braintumor/cli/package.py": r"braintumor-map:([\d.]+)",
    "CITATION.cff": r"^version: (\S+)$",
}
"""File -> where it names the release."""


@pytest.mark.parametrize("name", NAMED)
def test_recipes_and_documents_name_the_release(name):
    named = re.findall(NAMED[name], (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert named
    assert set(named) == {RELEASE}


def test_the_package_has_the_version_of_its_installation():
    assert braintumor.__version__ == version("braintumor")


def made_by_hatch(folder):
    """The version that a build in `folder` would have."""
    pytest.importorskip("hatch_vcs", reason="needs the extra 'dev'")
    ran = subprocess.run(
        [sys.executable, "-m", "hatchling", "version"], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    )
    return ran.stdout.strip()


def git(folder, *arguments):
    person = ["-c", "user.name=someone", "-c", "user.email=someone@example.org"]
    subprocess.run(["git", *person, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture
def tree(tmp_path):
    """A folder with what a build asks for its version."""
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_a_tree_without_git_falls_back_to_the_release(tree):
    assert made_by_hatch(tree) == RELEASE


def test_a_tag_is_the_version_and_a_commit_later_says_so(tree):
    git(tree, "init", "--quiet")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message", "first")
    assert made_by_hatch(tree).startswith(f"{RELEASE}.post1.dev")
    git(tree, "tag", "v7.8.9")
    assert made_by_hatch(tree) == "7.8.9"
    git(tree, "commit", "--quiet", "--allow-empty", "--message", "second")
    assert made_by_hatch(tree) == "7.8.9.post1.dev1"


def test_the_changelog_has_a_date_for_every_release():
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])


def test_the_package_says_who_makes_it_and_what_it_is_about():
    about = metadata("braintumor")
    assert about["License-Expression"] == "Apache-2.0"
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert "authors = [" in project
    assert "keywords = [" in project


def test_the_citation_is_of_this_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["title"]
    assert citation["authors"]
    assert citation["license"] == "Apache-2.0"
