"""Tries the installed wheel as a user has it: in a folder that has its own ``deploy.py`` and ``apps/``, away from the checkout.

    python tests/packaging/check_wheel.py

Run it by the Python of an environment into which the wheel was installed (not the checkout). It prints a line per step and ends
with 0 only if phantom, run, viewer fetch, serve, node start and the MAP application all worked.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMAND = str(Path(sys.executable).with_name("braintumor"))
HOSTILE = "raise SystemExit('a module of the user was imported in the place of ours')\n"
WAIT_S = 240

NODE = """
state = "node-state"
[dicom]
port = {dicom}
[http]
port = {web}
[[destinations]]
name = "out"
kind = "folder"
folder = "delivered"
"""


def main() -> int:
    """Every step in a scratch folder."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        for name in ("deploy.py", "operators.py", "stack.py"):
            (place / name).write_text(HOSTILE)
        (place / "apps").mkdir()
        (place / "apps" / "__init__.py").write_text(HOSTILE)
        os.chdir(place)
        where = output(sys.executable, "-c", "import braintumor; print(braintumor.__file__)")
        if Path(where).is_relative_to(ROOT / "lib"):
            print(f"This is the checkout ({where}), not an installed wheel.")
            return 1
        step("version", COMMAND, "--version")
        step("phantom", COMMAND, "phantom", "-o", "phantom", "--spacing", "4")
        step("run", COMMAND, "run", "phantom/visit-1", "-o", "results")
        step("report", COMMAND, "report", "show", "results")
        os.environ["BRAINTUMOR_KEY_PASSPHRASE"] = "a passphrase"
        step("report key", COMMAND, "report", "key", "-o", "key.p12", "--name", "Dr A. Rao")
        step("report approve", COMMAND, "report", "approve", "results", "--key", "key.p12")
        step("report verify", COMMAND, "report", "verify", "results/report/v0002.pdf")
        fetched = step("viewer fetch", COMMAND, "viewer", "fetch", "--to", "viewer", may_fail=True)
        serve(viewer=fetched)
        node()
        application = ROOT / "deploy" / "map" / "app.py"
        step("MAP application", sys.executable, str(application), "-i", "phantom/visit-1", "-o", "map-results")
    return 0


def output(*command: str) -> str:
    """What a command prints last."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1]


def step(name: str, *command: str, may_fail: bool = False) -> bool:
    """Run a command; one that fails ends the check, unless it needs a network that may be missing."""
    started = time.monotonic()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    print(
        f"{name:<16} {'ok' if done.returncode == 0 else f'exit {done.returncode}'}  {time.monotonic() - started:.1f} s",
        flush=True,
    )
    if done.returncode and not may_fail:
        raise SystemExit(done.stdout + done.stderr)
    return done.returncode == 0


def serve(*, viewer: bool) -> None:
    """The server answers as MONAI Label's clients ask, and shows the viewer where it was fetched."""
    port, environment = free_port(), {**os.environ, "BRAINTUMOR_VIEWER": "viewer"}
    with running("serve", (COMMAND, "serve", "phantom", "--port", str(port), "--state", "served"), environment):
        answered(f"http://127.0.0.1:{port}/info/", 200)
        answered(f"http://127.0.0.1:{port}/ohif/braintumor/panel.js", 200)
        answered(f"http://127.0.0.1:{port}/ohif/", 200 if viewer else 503)


def node() -> None:
    """The node says that it is ready."""
    web = free_port()
    Path("node.toml").write_text(NODE.format(dicom=free_port(), web=web))
    with running("node start", (COMMAND, "node", "start", "--settings", "node.toml"), dict(os.environ)):
        answered(f"http://127.0.0.1:{web}/readyz", 200)
        step("node status", COMMAND, "node", "status", "--settings", "node.toml")


@contextmanager
def running(name: str, command: tuple[str, ...], environment: dict[str, str]) -> Iterator[None]:
    """A service while the block runs; its words are shown if the block fails."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as words:
        process = subprocess.Popen(command, env=environment, stdout=words, stderr=subprocess.STDOUT)
        try:
            yield
        except BaseException:
            words.seek(0)
            print(words.read()[-3000:])
            raise
        finally:
            process.terminate()
            process.wait(60)
    print(f"{name:<16} ok  {time.monotonic() - started:.1f} s", flush=True)


def answered(url: str, status: int) -> None:
    """Wait until an address answers with a status."""
    until, last = time.monotonic() + WAIT_S, "no answer"
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                last = str(answer.status)
        except urllib.error.HTTPError as error:
            last = str(error.code)
        except OSError as error:
            last = str(error)
        if last == str(status):
            return
        time.sleep(0.5)
    raise SystemExit(f"{url} did not answer {status}: {last}")


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
