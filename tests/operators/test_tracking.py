"""The tracking operator in a running graph: the visit of the line and a prior study in, a timeline out."""

from __future__ import annotations

import pytest

pytest.importorskip("monai.deploy", reason="needs the extra 'map' (monai-deploy-app-sdk)")

from braintumor import phantom
from braintumor import study as study_stage
from braintumor.domain import OutputError
from braintumor.preprocess import on_grid
from braintumor.track import TrackOptions, Visit, VisitNotes
from operators import CasePreparationOperator, StageOperator, StudyReaderOperator, TrackingOperator, connect

# isort: split
from holoscan.conditions import CountCondition
from monai.deploy.core import Application


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    """Two visits of one phantom, 20 mL and 30 mL, as DICOM folders; and the true mask of the first as NIfTI."""
    home = tmp_path_factory.mktemp("visits")
    made = phantom.make(phantom.PhantomOptions(seed=3, spacing_mm=(4, 4, 4), skull=False, visits=2, growth=1.5, tumour_ml=20))
    for number, visit in enumerate(made):
        phantom.write_dicom(visit, home / f"dicom-{number}")
    nifti = phantom.write_nifti(made[0], home / "PRIOR")
    return made, (home / "dicom-0", home / "dicom-1"), nifti / "PRIOR_seg.nii.gz"


class Truth(StageOperator):
    stage, inputs, output = "segment", ("referral", "case"), "visit"

    def run(self, referral, case):
        return Visit.of(referral.study, case, on_grid(self.fragment.truth, case.grid))


class Graph(Application):
    def __init__(self, visits, out):
        made, (self.prior, self.current), self.mask = visits
        self.truth, self.out, self.timings = made[1].truth, out, {}
        super().__init__(["graph"])

    def compose(self):
        shared = {"timings": self.timings}
        options = TrackOptions(notes=(VisitNotes(steroid_mg=0.0), VisitNotes(mask=self.mask)))
        self.tracking = TrackingOperator(self, name="tracking", priors=[self.prior], out=self.out, comparison=options, **shared)
        source = StudyReaderOperator(self, CountCondition(self, 1), name="study", source=self.current, **shared)
        case = CasePreparationOperator(self, name="case", **shared)
        connect(self, (source, case, Truth(self, name="truth", **shared), self.tracking))


def test_the_visit_of_the_line_is_compared_with_its_prior(visits, tmp_path):
    graph = Graph(visits, tmp_path / "out")
    graph.run()
    results = graph.tracking.results
    assert [visit["study_uid"] for visit in results.manifest["visits"]][-1] == study_stage.read_study(graph.current).uid
    change = results.manifest["changes"][0]["regions"]["WT"]
    assert change["words"] == "grown"
    assert change["ml"]["value"] == pytest.approx(10, rel=0.1)
    assert "0 mg dexamethasone equivalent a day" in results.manifest["rano"][-1]["inputs_used"].values()
    assert {"dicom/lesions.dcm", "dicom/measurements.dcm"} <= set(results.outputs["dicom"])
    assert all((tmp_path / "out" / name).is_file() for name in results.outputs["dicom"])
    assert graph.timings["track"] > 0


def test_an_output_folder_in_use_is_refused_and_left_as_it_was(visits, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        Graph(visits, tmp_path).run()
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
