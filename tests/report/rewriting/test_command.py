"""`braintumor report rewrite`: a stored draft gets a next version, worded by a server."""

from typer.testing import CliRunner

from braintumor.cli.report import app
from braintumor.domain import Action, Origin
from braintumor.report.versions import ReportFolder
from tests.report.rewriting import cases
from tests.report.rewriting.helpers import good
from tests.report.rewriting.server import serving


def test_a_stored_draft_is_reworded_and_the_version_before_stays(tmp_path):
    first = cases.report_of(cases.first_visit())
    folder = ReportFolder.create(tmp_path / "report", first, ())
    with serving(good) as server:
        done = CliRunner().invoke(app, ["rewrite", str(tmp_path), "--endpoint", server.url, "--model", "tiny"])
    assert done.exit_code == 0, done.output
    assert "32 of" in done.output
    latest = folder.latest()
    assert latest.version == 2
    assert sum(line.origin is Origin.MODEL for rows in latest.texts["en"].sections.values() for line in rows) == 16
    assert latest.audit[-1].action is Action.REPHRASED
    assert folder.version(1).texts == first.texts


def test_a_model_has_to_be_named(tmp_path):
    ReportFolder.create(tmp_path / "report", cases.report_of(cases.first_visit()), ())
    done = CliRunner().invoke(app, ["rewrite", str(tmp_path)])
    assert done.exit_code == 2
