"""A server that does what it is told: each request is answered by the next of its answers, and kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EMPTY = {"resourceType": "Bundle", "type": "searchset"}


@dataclass
class Answer:
    """What is sent back; `hang` seconds pass before it, `drip` sends its body byte by byte, `drop` closes without a word."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: float = 0.0
    drip: float = 0.0
    drop: bool = False


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def says(content: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(content).encode(), headers)


def outcome(text: str, status: int = 400, **issue: Any) -> Answer:
    details = {"severity": "error", "code": "invalid", "diagnostics": text, **issue}
    return says({"resourceType": "OperationOutcome", "issue": [details]}, status)


class Scripted:
    """`answers` are for transactions; searches find nothing unless `found` has the kind's answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[Answer] = []
        self.found: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        self.ended = threading.Event()

    @property
    def posted(self) -> list[Asked]:
        """Transactions that arrived."""
        return [each for each in self.asked if each.path == "/fhir"]

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if asked.path == "/fhir":
            return self.answers.pop(0) if self.answers else Answer(500)
        return self.found.get(asked.path.removeprefix("/fhir/").removesuffix("/_search"), says(EMPTY))


@contextmanager
def scripted() -> Iterator[Scripted]:
    """A server on the loopback interface for the length of a block."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = script.answer(Asked(self.command, self.path, dict(self.headers), body))
            script.ended.wait(answer.hang)
            if answer.drop:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            try:
                for byte in (answer.body[i : i + 1] for i in range(len(answer.body))) if answer.drip else (answer.body,):
                    self.wfile.write(byte)
                    self.wfile.flush()
                    script.ended.wait(answer.drip)
            except OSError:
                self.close_connection = True  # the client had enough

        do_GET = do_POST = do_PUT = _do  # noqa: N815 - names that http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script = Scripted(f"http://127.0.0.1:{server.server_address[1]}/fhir")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
