"""What the documentation's site takes from the code itself: the commands with their options, and the exit statuses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.main import get_command

from braintumor.cli import app
from braintumor.domain import exit_codes

FONT = "NotoSansDevanagari-Regular.ttf"
"""For the Hindi of the glossary; the package carries it for the report."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the typeface beside the pages, so that no reader's computer needs one of its own."""
    (font,) = Path(config.config_file_path).parent.glob(f"lib/braintumor/report/**/{FONT}")
    files.append(File.generated(config, f"fonts/{FONT}", abs_src_path=str(font)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the marks of the reference pages; called by MkDocs for every page."""
    for mark, fill in (("<!-- commands -->", _commands), ("<!-- exit codes -->", _exit_codes)):
        if mark in markdown:
            markdown = markdown.replace(mark, fill())
    return markdown


def _exit_codes() -> str:
    rows = [f"| {status} | {meaning} |" for status, meaning in exit_codes().items()]
    return "\n".join(["| exit status | meaning |", "|---|---|", *rows])


def _commands() -> str:
    return "\n\n".join(_command(name, command) for name, command in _leaves(get_command(app), "braintumor"))


def _leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(name, command) of every command, groups entered."""
    for name in command.list_commands(None):
        found = command.get_command(None, name)
        if hasattr(found, "list_commands"):
            yield from _leaves(found, f"{path} {name}")
        else:
            yield f"{path} {name}", found


def _command(name: str, command: Any) -> str:
    """One command: its help, its examples, and a table of what it takes."""
    parts = [f"## {name}", _plain(command.help or "")]
    rows = [_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    if rows:
        parts.append("\n".join(["| argument or option | meaning |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def _row(parameter: Any) -> str:
    is_option = parameter.param_type_name == "option"
    called = (*parameter.opts, *parameter.secondary_opts) if is_option else (parameter.name.upper(),)
    names = ", ".join(f"`{name}`" for name in called)
    words = _plain(getattr(parameter, "help", None) or "").replace("|", "\\|").replace("\n", " ")
    return f"| {names} | {words}{' Required.' if is_option and parameter.required else ''} |"


def _plain(text: str) -> str:
    """Help as Markdown: dimmed examples become code, other markup of the terminal goes."""
    text = re.sub(r"\[dim\](braintumor .+?)\[/\]", r"`\1`", text)
    return re.sub(r"(?<!`)\[/?[a-z ]*\]", "", text).replace("<", "&lt;")
