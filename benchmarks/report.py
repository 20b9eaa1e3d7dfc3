"""From findings to signed PDF, SR and FHIR bundle: ``python -m benchmarks.report [--case BraTS2021_01657]``."""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import facts
from braintumor import measure, phantom, report, segment, study
from braintumor import preprocess as case_stage
from braintumor.export.common import ResultContext, save
from braintumor.export.reporting import Sources, write_final, write_report
from braintumor.export.seg import make_seg
from braintumor.export.sr import make_sr
from braintumor.fhir import bundle, validate
from braintumor.preprocess import on_grid
from braintumor.report.approval import approve
from braintumor.report.versions import ReportFolder
from braintumor.signing import from_pkcs12, make_identity, verify

REPEATS = 5


def main() -> None:
    """Print the seconds of each step, medians of five."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with brats/; a 1 mm phantom is used without it")
    parser.add_argument("--case", default="BraTS2021_01657")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        visit = _visit(options, work)
        key = work / "key.p12"
        key.write_bytes(make_identity("Benchmark", 2, b"benchmark"))
        key.chmod(0o600)
        signer = from_pkcs12(key, b"benchmark")
        rows: dict[str, list[float]] = {}
        for number in range(REPEATS + 1):
            found = _once(visit, signer, work / str(number))
            for what, seconds in found.items() if number else ():  # the first run loads libraries and fonts
                rows.setdefault(what, []).append(seconds)
    print(f"{facts()}\n{'':40}median s")
    for what, seconds in rows.items():
        print(f"{what:40}{statistics.median(seconds):8.3f}")


def _visit(options: argparse.Namespace, work: Path) -> tuple[Any, ...]:
    if options.data:
        phantom.case_to_dicom(options.data / "brats" / options.case, work / "study")
    else:
        phantom.write_dicom(phantom.make(phantom.PhantomOptions(seed=7, skull=False))[0], work / "study")
    read = study.read_study(work / "study")
    case = case_stage.prepare_case(read)
    mask = segment.segment_case(case, segment.load_engine("auto", None))
    measured = measure.measure_case(mask, case.brain, case_id=case.case_id)
    return read, case, mask, measured


def _once(visit: tuple[Any, ...], signer: Any, out: Path) -> dict[str, float]:
    read, case, mask, measured = visit
    seconds: dict[str, float] = {}

    def timed(what: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        done = work()
        seconds[what] = time.perf_counter() - started
        return done

    when = datetime(2026, 1, 2, tzinfo=UTC)
    context = ResultContext.of(read, mask, when.replace(tzinfo=None))
    own = on_grid(mask, read.reference.image.grid, case.alignment[read.reference_sequence].transform)
    seg = make_seg(read, own, measured, context)  # its voxels are written before the report
    out.mkdir()
    findings = timed("findings", lambda: report.gather_findings(read, case, mask, measured))
    pictures = timed("key images", lambda: report.key_images(case, mask, measured))
    timed("SR", lambda: save(make_sr(read, own, seg, measured, findings.flags, context), out / "sr.dcm"))
    sources = Sources(read, findings, report.provenance_of(read, mask, when), context, pictures)
    timed("draft: text, PDF, DICOM, FHIR bundle", lambda: write_report(sources, report.LANGUAGES, (), out))
    folder = ReportFolder(out / "report")
    final = timed("approval: PDF, signature, chain", lambda: approve(folder, signer, when=datetime.now(UTC)))
    timed("final DICOM and FHIR bundle", lambda: write_final(folder, final, when.replace(tzinfo=None)))
    seconds["findings to signed PDF, SR and bundle"] = sum(seconds.values())
    assert verify(final.pdf).holds
    assert not validate(bundle(final.report, pdf=final.pdf))
    shutil.rmtree(out)
    return seconds


if __name__ == "__main__":
    main()
