"""Text of a PDF's pages, run as a process of its own: a hostile or damaged PDF may then use up that process and nothing else.

Reads the PDF on standard input and writes JSON; `braintumor.notes.reading` starts it. It imports nothing of this package, so
that it starts quickly.
"""

from __future__ import annotations

import io
import json
import logging
import sys
from contextlib import suppress
from typing import Any

_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_CONTROL = {code: "\ufffd" for code in [*range(32), 127] if chr(code) not in "\t\n\r\f\v"}
_REPLACED = _SURROGATES | _CONTROL
"""What neither JSON nor XML can carry; replaced one for one, so that offsets stay."""


def extract(data: bytes, pages: int, page_characters: int) -> dict[str, Any]:
    """Texts of the first pages.

    Returns
    -------
    dict
        ``problem``: '', ``encrypted``, ``too-costly`` or ``damaged``; ``texts``: one per page read; ``total``: pages there are;
        ``cut``: whether a page had more characters than allowed; ``pictured``: pages that hold pictures and no text.
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, FileNotDecryptedError

    result: dict[str, Any] = {"problem": "", "texts": [], "total": 0, "cut": False, "pictured": 0}
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            return result | {"problem": "encrypted"}
        result["total"] = len(reader.pages)
        for page in reader.pages[:pages]:
            text = page.extract_text().translate(_REPLACED)
            result["cut"] = result["cut"] or len(text) > page_characters
            result["texts"].append(text[:page_characters])
            result["pictured"] += not text.strip() and _has_pictures(page)
    except (FileNotDecryptedError, DependencyError, NotImplementedError):
        return result | {"problem": "encrypted", "texts": []}
    except MemoryError:
        return result | {"problem": "too-costly", "texts": []}
    except Exception:  # noqa: BLE001  # a damaged PDF makes pypdf fail in any way, and its messages may hold text of the note
        return result | {"problem": "damaged", "texts": []}
    return result


def _has_pictures(page: Any) -> bool:
    objects = page.get("/Resources", {}).get_object().get("/XObject", {}).get_object()
    return any(item.get_object().get("/Subtype") == "/Image" for item in objects.values())


def _confine(seconds: int, memory: int) -> None:
    with suppress(ImportError, ValueError, OSError):  # systems without such limits; the parent still watches the clock
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would leave the note on the disk
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def main() -> None:
    """Read standard input, write the result; arguments: pages, characters of a page, seconds, bytes of memory."""
    pages, characters, seconds, memory = (int(word) for word in sys.argv[1:5])
    _confine(seconds, memory)
    logging.disable(logging.CRITICAL)
    json.dump(extract(sys.stdin.buffer.read(), pages, characters), sys.stdout)


if __name__ == "__main__":
    main()
