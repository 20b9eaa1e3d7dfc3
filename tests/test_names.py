"""One word for one thing: no public class has the name of another one."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOTS = ("lib", "apps", "operators")

TWICE: dict[str, str] = {}
"""Names that may stand more than once, each with its reason."""


def public_classes():
    """Public top-level class name -> the files that define it."""
    found = defaultdict(list)
    for root in ROOTS:
        for path in sorted((ROOT / root).rglob("*.py")):
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].append(str(path.relative_to(ROOT)))
    return found


def test_no_public_class_name_is_used_twice():
    found = public_classes()
    assert len(found) > 300  # the folders were really read
    assert {name: files for name, files in found.items() if len(files) > 1 and name not in TWICE} == {}


def test_the_list_of_exceptions_is_not_longer_than_it_must_be():
    found = public_classes()
    assert [name for name in TWICE if len(found[name]) < 2] == []
