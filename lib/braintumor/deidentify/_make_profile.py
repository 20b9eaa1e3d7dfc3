"""Makes `profile.json` from two published transcriptions of PS3.15 Table E.1-1.

    python -m braintumor.deidentify._make_profile confidentiality_profile_attributes.json dicomfields_2026c.py

The first file (innolitics/dicom-standard, MIT, edition 2024b) has the columns of the options; the second (dicom-anonymizer
2.1.0, BSD, edition 2026c) adds attributes that came later, Basic Profile only. Where both have an attribute they must agree.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

COLUMNS = {
    "rtnLongModifDatesOpt": "dates",
    "cleanDescOpt": "descriptors",
    "cleanStructContOpt": "content",
    "cleanGraphOpt": "graphics",
    "rtnDevIdOpt": "device",
    "rtnPatCharsOpt": "characteristics",
}
"""Columns of the options that are offered -> their names here; the others of the table are not."""


def rows(published: Path) -> dict[str, dict[str, str]]:
    """Tag (eight lower-case digits, x for any digit) -> action by column."""
    table = {}
    for row in json.loads(published.read_text()):
        tag = row["id"].lower()
        if tag.startswith("gggg"):  # private attributes are a rule of the code, not a row
            continue
        table[tag] = {"basic": row["basicProfile"]} | {name: row[column] for column, name in COLUMNS.items() if column in row}
    return table


def later(database: Path) -> dict[str, str]:
    """Tag -> Basic Profile action of the newer edition."""
    found: dict[str, str] = {}
    for name, tags in runpy.run_path(str(database)).items():
        if name.endswith("_TAGS") and name != "ALL_TAGS":
            action = name.removesuffix("_TAGS").replace("_STAR", "*").replace("_", "/")
            found |= {f"{tag[0]:04x}{tag[1]:04x}": action for tag in tags if len(tag) == 2}
    return found


def main(published: Path, database: Path) -> None:
    """Write the table beside this file."""
    table = rows(published)
    for tag, action in later(database).items():
        if tag not in table:
            table[tag] = {"basic": action}
        elif table[tag]["basic"] != action:
            raise SystemExit(f"The two sources disagree on {tag}")
    lines = ",\n".join(f"    {json.dumps(tag)}: {json.dumps(table[tag])}" for tag in sorted(table))
    head = '"source": "DICOM PS3.15 Table E.1-1, edition 2024b; attributes added until 2026c with their Basic Profile action"'
    Path(__file__).with_name("profile.json").write_text(f'{{\n  {head},\n  "attributes": {{\n{lines}\n  }}\n}}\n')


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
