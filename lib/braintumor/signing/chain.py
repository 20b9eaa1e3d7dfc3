r"""A report's chain of hashes: images, mask, findings, text, PDF, each tied to the one before and to the report's last version.

The hash of a link is the SHA-256 of this text in UTF-8, with a line feed (0x0A) after each of its four lines:

    braintumor-chain-1
    NAME
    CONTENT      SHA-256 of the content, 64 lowercase hexadecimal digits
    PREVIOUS     hash of the previous link; for the first link the head of the previous version, or 64 zeros

so that anybody can check it: ``printf 'braintumor-chain-1\n%s\n%s\n%s\n' NAME CONTENT PREVIOUS | sha256sum``.

A chain shows that its parts belong together. It does not show who made it: whoever can write all of it can make another, so its
head must also stand where that person cannot write, such as in a signed PDF or an archive.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

START = "0" * 64
"""In the place of a previous hash where nothing came before."""

_FORM = "braintumor-chain-1"
_HASH = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[!-~]+( [!-~]+)*")


@dataclass(frozen=True, slots=True)
class Link:
    """One content, tied to everything before it."""

    name: str
    """What it is, e.g. ``images``, ``mask``, ``findings``, ``pdf``. Printable ASCII, never patient data."""
    content: str
    """SHA-256 of the content."""
    previous: str
    """Hash of the link before."""
    hash: str
    """Over all of these (see the module)."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Links in order."""

    links: tuple[Link, ...] = ()
    start: str = START
    """Head of the report's previous version, or `START`."""

    @property
    def head(self) -> str:
        """Hash of the last link: it stands for the whole chain and all versions before."""
        return self.links[-1].hash if self.links else self.start


def digest(content: bytes) -> str:
    """SHA-256 in the form that links hold."""
    return hashlib.sha256(content).hexdigest()


def extend(chain: Chain, name: str, content: str) -> Chain:
    """The chain with one more link. Start a new version of a report with ``Chain(start=previous.head)``.

    Parameters
    ----------
    name
        Not yet in the chain.
    content
        SHA-256 of the content (`digest`).
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"a link's name is printable ASCII without spaces at its ends, not {name!r}")
    if not _HASH.fullmatch(content):
        raise ValueError(f"the content of a link is a SHA-256 in lowercase hexadecimal digits, not {content!r}")
    if any(link.name == name for link in chain.links):
        raise ValueError(f"the chain has a link named {name} already")
    link = Link(name, content, chain.head, _hash(name, content, chain.head))
    return Chain((*chain.links, link), chain.start)


def check(chain: Chain, contents: Mapping[str, str], *, head: str | None = None) -> tuple[str, ...]:
    """What is wrong with a chain, in words; nothing if it is whole and belongs to these contents.

    Parameters
    ----------
    contents
        Name of each link -> SHA-256 of the content as it is now (`digest`), complete: a link without content and a content
        without link are found too.
    head
        As it stands in a safe place; without it, a chain that somebody made anew for other contents is not found.
    """
    problems: list[str] = []
    expected = chain.start
    seen: set[str] = set()
    if not _HASH.fullmatch(chain.start):
        problems.append("the chain starts with something that is no hash")
    for position, link in enumerate(chain.links, 1):
        problems += [f"link {position} ({link.name}): {what}" for what in _faults(link, expected, contents)]
        if link.name in seen:
            problems.append(f"link {position} ({link.name}): the name occurs twice")
        seen.add(link.name)
        expected = link.hash
    problems += [f"{name}: the chain has no such link" for name in contents if name not in seen]
    if head is not None and head != chain.head:
        problems.append("the chain is not the one whose head was kept: it was made anew, cut off or extended")
    return tuple(problems)


def check_versions(versions: Sequence[Chain]) -> tuple[str, ...]:
    """What is wrong with the order of a report's versions, oldest first, in words; each begins where the one before ends."""
    expected, problems = START, []
    for number, chain in enumerate(versions, 1):
        if chain.start != expected:
            what = "does not begin the report" if number == 1 else f"does not follow version {number - 1}"
            problems.append(f"version {number} {what}")
        if not chain.links:
            problems.append(f"version {number} is empty")
        expected = chain.head
    return tuple(problems)


def _faults(link: Link, previous: str, contents: Mapping[str, str]) -> list[str]:
    faults = []
    if link.previous != previous:
        faults.append("it does not follow the one before; a link was changed, moved, removed or put in")
    if not _NAME.fullmatch(link.name) or not _HASH.fullmatch(link.content):
        faults.append("its name or content has a wrong form")
    elif link.hash != _hash(link.name, link.content, link.previous):
        faults.append("its hash does not fit what it says")
    if link.name not in contents:
        faults.append("its content is missing")
    elif contents[link.name] != link.content:
        faults.append("its content was changed")
    return faults


def _hash(name: str, content: str, previous: str) -> str:
    return digest(f"{_FORM}\n{name}\n{content}\n{previous}\n".encode())
