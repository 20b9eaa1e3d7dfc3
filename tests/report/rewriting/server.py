"""A small server that speaks OpenAI's chat completions, for tests and measurements; it answers well or badly, as told.

python -m tests.report.rewriting.server MODEL_FOLDER   # prints its address
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Messages = list[dict[str, str]]
Says = Callable[[Messages], "str | Raw"]


@dataclass
class Raw:
    """An answer that is no proper one: bytes as they go over the line, and how slowly."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    wait_s: float = 0.0
    trickle_s: float = 0.0
    cut: bool = False
    endless_head: bool = False


def proper(text: str | None) -> bytes:
    """The JSON of an ordinary answer."""
    return json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}).encode()


class Server:
    """What was asked, and how to answer it: `says` is given the messages of each request."""

    def __init__(self, says: Says) -> None:
        self.says = says
        self.requests: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.closing = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def __enter__(self) -> Server:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()


@contextmanager
def serving(says: Says) -> Iterator[Server]:
    with Server(says) as server:
        yield server


class _Handler(BaseHTTPRequestHandler):
    owner: Server

    def do_POST(self) -> None:
        server = self.owner
        server.raw.append(self.rfile.read(int(self.headers["Content-Length"])))
        server.requests.append(json.loads(server.raw[-1]))
        server.headers.append(dict(self.headers))
        known = self.path.endswith("/chat/completions")
        answer = server.says(server.requests[-1]["messages"]) if known else Raw(status=404)
        with suppress(OSError):
            self._send(Raw(proper(answer)) if isinstance(answer, str) else answer)

    def _send(self, answer: Raw) -> None:
        self.owner.closing.wait(answer.wait_s)
        if answer.cut:
            self.connection.close()
        elif answer.endless_head:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            self._slowly(b"y" * 100_000, answer.trickle_s)
        else:
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self._slowly(answer.body, answer.trickle_s)

    def _slowly(self, data: bytes, pause_s: float) -> None:
        step = 1 if pause_s else len(data) or 1
        for start in range(0, len(data), step):
            if pause_s and self.owner.closing.wait(pause_s):
                return
            self.wfile.write(data[start : start + step])
            self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    words = parser.parse_args()
    from braintumor.report.rewriting import Message, TransformersModel
    from tests.report.rewriting.helpers import as_json, asked, language

    model = TransformersModel(words.folder)

    def one(prompt: str) -> str:
        return model.complete([Message("user", prompt)], max_tokens=256)

    def says(messages: Messages) -> str:
        if len(messages) == 1:
            return one(messages[0]["content"])
        # the tiny model knows prefixes only: longer prompts are taken apart for it, sentence by sentence
        name = {"en": "English", "hi": "Hindi"}[language(messages)]
        return as_json({n: one(f"rephrase {name}: {text}") for n, text in asked(messages).items()})

    with serving(says) as server:
        print(server.url, flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
