"""Tags in the PDF (headings, paragraphs, tables, figures) and dates that repeat, which fpdf2 has no public way for.

A screen reader, a search engine and a PDF/A reader find the text by these tags (ISO 32000-1, 14.8). fpdf2 2.8 makes a flat tree
in which everything is a figure. So this module reaches into it, and pyproject.toml holds fpdf2 below 2.9.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fpdf import FPDF
from fpdf.output import OutputProducer
from fpdf.structure_tree import StructElem, StructureTreeBuilder
from fpdf.table import Table


class Tree(StructureTreeBuilder):
    """A structure tree with nested elements, each with its own kind."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[Any] = [self.doc_struct_elem]
        self._used: dict[int, int] = {}

    def walk(self, element: Any) -> Iterator[Any]:
        """All elements below one."""
        for kid in (kid for kid in element.k if isinstance(kid, StructElem)):
            yield kid
            yield from self.walk(kid)

    def __iter__(self) -> Iterator[Any]:
        yield from (self.struct_tree_root, self.doc_struct_elem, self.struct_tree_root.parent_tree)
        yield from self.walk(self.doc_struct_elem)

    def next_mcid_for_page(self, page_number: int) -> int:
        """The next free number of marked content on a page."""
        return self._used.get(page_number, 0)

    def add(self, kind: str, page: int, kids: list[Any], title: Any = None, alt: Any = None) -> Any:
        """A new element in the one that is open."""
        element = StructElem(kind, self.open[-1], kids, page, title, alt)
        self.open[-1].k.append(element)
        return element

    def add_marked_content(
        self, page_number: int, struct_type: str, mcid: int | None = None, title: Any = None, alt_text: Any = None
    ) -> tuple[Any, int]:
        """Called by fpdf2 for each piece of marked content."""
        place: int = self.spid_per_page_number.setdefault(page_number, len(self.spid_per_page_number))
        element = self.add(struct_type, page_number, [mcid], title, alt_text)
        self.struct_tree_root.parent_tree.nums[place].append(element)
        self._used[page_number] = (mcid or 0) + 1
        return element, place


class Producer(OutputProducer):
    """Writes the tree's page references, and the document's own date where fpdf2 would write the present time."""

    def _insert_resources(self, pages: Any) -> Any:
        super()._insert_resources(pages)
        builder: Any = self.fpdf.struct_builder
        for element in builder.walk(builder.doc_struct_elem):
            element.pg = pages[element.page_number() - 1]

    def _build_xmp_from_info(self, *arguments: Any, **named: Any) -> str:
        at = self.fpdf.creation_date.isoformat(timespec="seconds")
        text = str(super()._build_xmp_from_info(*arguments, **named))
        return re.sub(r'(xmp:(?:Modify|Metadata)Date=)"[^"]*"', rf'\1"{at}"', text)


class Tagged(FPDF):
    """FPDF that tags what it draws; PDF/A-3U (ISO 19005-3): fonts embedded, colours defined, text as Unicode."""

    def __init__(self) -> None:
        super().__init__("portrait", "mm", "A4", enforce_compliance="PDF/A-3U")
        self.struct_builder: Any = Tree()

    @contextmanager
    def tag(self, kind: str, **entries: Any) -> Iterator[None]:
        """What is drawn inside is one element, e.g. ``H1`` or ``P``; not across pages."""
        mcid = self.struct_builder.next_mcid_for_page(self.page)
        self._add_marked_content(struct_type=f"/{kind}", mcid=mcid, **entries)
        self._out(f"/{kind} <</MCID {mcid}>> BDC")
        yield
        self._out("EMC")

    @contextmanager
    def inside(self, kind: str) -> Iterator[None]:
        """Elements made inside are children of one of this kind, e.g. ``Table``."""
        self.struct_builder.open.append(self.struct_builder.add(f"/{kind}", self.page, []))
        yield
        self.struct_builder.open.pop()

    @contextmanager
    def _marked_sequence(self, **entries: Any) -> Iterator[Any]:
        with self.tag("Figure", **entries):
            yield


class TaggedTable(Table):
    """A table whose rows and cells are tagged."""

    def _render_table_row(self, *arguments: Any, **named: Any) -> Any:
        with self._fpdf.inside("TR"):  # type: ignore[attr-defined]  # always a `Tagged`
            return super()._render_table_row(*arguments, **named)

    def _render_table_cell(self, i: int, *arguments: Any, **named: Any) -> Any:
        if named.get("cell_height_info") is None:
            return super()._render_table_cell(i, *arguments, **named)  # only measured
        with self._fpdf.tag("TH" if i < self._num_heading_rows else "TD"):  # type: ignore[attr-defined]
            return super()._render_table_cell(i, *arguments, **named)
