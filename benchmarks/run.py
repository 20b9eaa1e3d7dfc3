"""Every benchmark side by side in one run: ``python -m benchmarks.run [--case FOLDER] [--json]``.

Each measurement runs in a process of its own, one after the other, so that nobody profits from another's caches and peak
memory belongs to one alone. The inputs are made first, and are the same for ours and for the peer.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine, table
from benchmarks.measuring import Row


@dataclass(frozen=True, slots=True)
class Group:
    """Measurements that belong side by side.

    Attributes
    ----------
    names
        Each ``module:function`` of this package.
    peer
        The one that the others are compared with; empty if there is none.
    """

    title: str
    names: tuple[str, ...]
    peer: str = ""


PLAN = (
    Group(
        "network over one case",
        (
            "network:monai_stock",
            "network:torch_f32",
            "network:torch_engine",
            "network:openvino_f32",
            "network:openvino_engine",
            "network:openvino_int8",
        ),
        peer="network:monai_stock",
    ),
    Group("loading a DICOM study", ("loading:deploy_sdk", "loading:ours"), peer="loading:deploy_sdk"),
    Group("writing DICOM SEG", ("writing:deploy_sdk", "writing:deploy_sdk_sparse", "writing:ours"), peer="writing:deploy_sdk"),
    Group(
        "training on 96 slices",
        ("training:monai_trainer", "training:our_loop", "training:our_loop_compiled"),
        peer="training:monai_trainer",
    ),
    Group("DICOM study to all results", ("line:registered", "line:as_scanned")),
)

ROOT = Path(__file__).resolve().parents[1]
MINUTES = 15
"""Longest that one measurement may take, all its repeats together."""


def main() -> None:
    options = _options()
    facts = machine.facts()
    with tempfile.TemporaryDirectory(prefix="braintumor-bench-") as scratch:
        work = Path(scratch)
        _say("making the inputs")
        places = {"case": options.case, "as_scanned": options.as_scanned}
        inputs = _child("inputs:make", work, options.repeats, {key: str(path) for key, path in places.items() if path})
        if "error" in inputs:
            sys.exit(inputs["error"])
        facts["input"] = inputs["notes"]
        measured = {group: _rows(group, work, options) for group in PLAN}
    wanted = {group: rows for group, rows in measured.items() if rows}
    if options.json:
        groups = {group.title: [asdict(row) for row in rows] for group, rows in wanted.items()}
        print(json.dumps({"machine": facts, "groups": groups}, indent=2))
    else:
        tables = [table.group(group.title, rows, group.peer) for group, rows in wanted.items()]
        print("\n\n".join([table.machine(facts), *tables]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    data = Path(os.environ.get("BRAINTUMOR_DATA") or ROOT.parent / "shared" / "data")
    parser.add_argument(
        "--case", type=Path, default=_there(data / "brats" / "BraTS2021_01657"), help="co-registered NIfTI case"
    )
    parser.add_argument(
        "--as-scanned", type=Path, default=_there(data / "raw" / "TCGA-FG-6692"), help="unregistered NIfTI case"
    )
    parser.add_argument("--repeats", type=int, default=3, help="runs of each; the median is shown")
    parser.add_argument("--only", default="", help="part of the names of the measurements wanted, e.g. loading")
    parser.add_argument("--json", action="store_true", help="all figures as JSON")
    return parser.parse_args()


def _there(path: Path) -> Path | None:
    return path if path.is_dir() else None


def _rows(group: Group, work: Path, options: argparse.Namespace) -> list[Row]:
    rows = []
    for name in group.names:
        if options.only in name:
            _say(name)
            rows.append(Row(name, **_child(name, work, options.repeats, {})))
    return rows


def _child(name: str, work: Path, repeats: int, extra: dict[str, str]) -> dict[str, Any]:
    """The result of `benchmarks.measuring` for one measurement, or the last words of one that failed."""
    request = json.dumps({"name": name, "work": str(work), "repeats": repeats, "extra": extra})
    command = [sys.executable, "-m", "benchmarks.measuring", request]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=MINUTES * 60, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"took longer than {MINUTES} minutes"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _say(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
