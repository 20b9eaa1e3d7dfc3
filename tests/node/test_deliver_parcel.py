"""Only files that a run wrote, and that are still as it wrote them, are ever sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from braintumor.node.deliver import Fault, OutletError, files_of
from tests.node.delivering import copied

EVERYTHING = ("segmentation", "measurements", "pictures", "report")


def names(results: Path, send: tuple[str, ...], kind: str = "dicom") -> list[str]:
    return sorted(str(item.path.relative_to(results)) for item in files_of(results, send, kind))


def test_each_sort_of_results_is_its_files(results: Path) -> None:
    assert names(results, ("segmentation", "measurements")) == ["dicom/measurements.dcm", "dicom/segmentation.dcm"]
    assert names(results, ("report",)) == ["dicom/report.dcm"]
    pictures = names(results, ("pictures",))
    assert len(pictures) >= 3
    assert all(name.startswith("dicom/picture-") for name in pictures)
    every = sorted(str(path.relative_to(results)) for path in (results / "dicom").iterdir())
    assert names(results, EVERYTHING) == every


def test_a_folder_gets_the_report_on_paper_and_fhir_its_bundle(results: Path) -> None:
    assert names(results, ("report",), "folder") == ["dicom/report.dcm", "report.pdf"]
    assert names(results, ("segmentation",), "folder") == ["dicom/segmentation.dcm"]
    assert names(results, ("segmentation",), "fhir") == ["report/v0001.fhir.json", "report/v0001.json"]


@pytest.mark.parametrize("how", ["changed", "gone", "empty"])
def test_an_altered_file_is_not_sent(results: Path, tmp_path: Path, how: str) -> None:
    copy = copied(results, tmp_path / "copy")
    path = copy / "dicom" / "measurements.dcm"
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(b"" if how == "empty" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(OutletError) as expected:
        files_of(copy, ("segmentation", "measurements"))
    assert expected.value.fault is Fault.DATA_MISSING
    assert expected.value.permanent
    assert files_of(copy, ("segmentation",))


def test_a_file_altered_after_the_check_is_not_sent(results: Path, tmp_path: Path) -> None:
    copy = copied(results, tmp_path / "copy")
    (item,) = files_of(copy, ("segmentation",))
    item.path.write_bytes(item.path.read_bytes() + b"\0")
    with pytest.raises(OutletError, match="altered"):
        item.read()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"outputs": 1}', '{"outputs": {"dicom": [{}]}}', '{"outputs": {}}'])
def test_a_damaged_list_of_results(tmp_path: Path, content: str) -> None:
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(OutletError) as expected:
        files_of(tmp_path, ("segmentation",))
    assert expected.value.fault is Fault.DATA_MISSING


def test_results_that_are_gone(tmp_path: Path) -> None:
    with pytest.raises(OutletError, match="gone"):
        files_of(tmp_path / "none", ("segmentation",))


@given(path=st.text(alphabet="./\\picturedom-segntaionx", max_size=40) | st.sampled_from(["dicom/picture-../../secret.dcm"]))
def test_no_path_of_the_list_leads_out_of_the_results(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    folder = tmp_path_factory.mktemp("results")
    (folder / "result.json").write_text(json.dumps({"outputs": {"dicom": [{"path": path, "sha256": ""}]}}))
    for sort in EVERYTHING:
        with pytest.raises(OutletError) as expected:
            files_of(folder, (sort,))
        assert expected.value.fault is Fault.DATA_MISSING
