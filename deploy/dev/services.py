"""PostgreSQL, Redis and RabbitMQ of our own on the loopback interface: for demos, tests and faults on purpose.

    python deploy/dev/services.py postgresql|redis|rabbitmq [--port N] [--storage FOLDER]

From Debian's packages ``postgresql``, ``redis-server``, ``rabbitmq-server``. For development: no password, nothing tuned.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

if __package__ in (None, ""):  # started as a file: the project's root is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.dev.local_server import LocalServer


class Service(LocalServer):
    """One server process with a data folder of its own, see `LocalServer`; `url` is what clients take.

    Parameters
    ----------
    storage
        Its data; kept if given, else temporary.
    """

    patience_s = 60.0

    def __init__(self, storage: Path | None = None, port: int | None = None) -> None:
        super().__init__("", port)
        self._kept = storage
        self.storage = storage or Path(tempfile.mkdtemp(prefix="braintumor-service-"))
        self.storage.mkdir(parents=True, exist_ok=True)

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL for it and all its children."""
        if self._process is not None and self.running:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None
        while answers(self.port):  # the children take a moment
            time.sleep(0.02)

    def close(self) -> None:
        """Stop it and remove what is temporary."""
        self.stop()
        if self._kept is None:
            shutil.rmtree(self.storage, ignore_errors=True)

    def _spawn(self, command: list[str], user: str | None = None, **variables: str) -> None:
        """Start in a session of its own, so that `kill` reaches the children as well."""
        account = pwd.getpwnam(user) if user and os.geteuid() == 0 else None
        if account is not None:
            for place in (self.storage, *self.storage.rglob("*")):
                os.chown(place, account.pw_uid, account.pw_gid)
            variables |= {"HOME": str(self.storage)}
        with (self.storage / "output.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=None if account is None else account.pw_uid,
                group=None if account is None else account.pw_gid,
                env={**os.environ, **variables},
            )
        end = time.monotonic() + self.patience_s
        while not self._answers():
            if not self.running or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"{self.name} did not start on port {self.port}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        return answers(self.port)


class PostgreSql(Service):
    """One PostgreSQL server; `url` is that of its database ``postgres`` for SQLAlchemy with psycopg."""

    name = "PostgreSQL"
    ends_on = signal.SIGINT  # fast shutdown

    def __init__(self, storage: Path | None = None, port: int | None = None) -> None:
        super().__init__(storage, port)
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, making its data folder at the first time; raises RuntimeError."""
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not programs:
            raise RuntimeError("PostgreSQL is not installed (Debian package postgresql)")
        data = self.storage / "data"
        if not data.exists():
            make = [str(programs[-1] / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-sync"]
            if os.geteuid() == 0:
                shutil.chown(self.storage, "postgres", "postgres")
                make = ["runuser", "-u", "postgres", "--", *make]
            subprocess.run(make, check=True, capture_output=True)  # noqa: S603
        (data / "postmaster.pid").unlink(missing_ok=True)  # a killed one leaves it behind
        options = ["-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.storage)]
        self._spawn([str(programs[-1] / "postgres"), "-D", str(data), *options], user="postgres")

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True


class Redis(Service):
    """One Redis server that writes every command to its disk."""

    name = "Redis"

    def __init__(self, storage: Path | None = None, port: int | None = None) -> None:
        super().__init__(storage, port)
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it; raises RuntimeError."""
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("Redis is not installed (Debian package redis-server)")
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.storage)]
        self._spawn([program, *options, "--appendonly", "yes", "--appendfsync", "always", "--save", ""])


class RabbitMq(Service):
    """One RabbitMQ broker; `url` is that of its user guest."""

    name = "RabbitMQ"
    patience_s = 120.0

    def __init__(self, storage: Path | None = None, port: int | None = None) -> None:
        super().__init__(storage, port)
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Start it; raises RuntimeError."""
        program = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        if not program.exists():
            raise RuntimeError("RabbitMQ is not installed (Debian package rabbitmq-server)")
        (self.storage / "plugins").write_text("[].\n")
        # a file of our own: the one in /etc would put the listener where the machine's own broker is
        (self.storage / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n")
        self._spawn(
            [str(program)],
            user="rabbitmq",
            RABBITMQ_NODENAME=f"braintumor{self.port}@localhost",
            RABBITMQ_CONFIG_FILE=str(self.storage / "rabbitmq.conf"),
            RABBITMQ_ADVANCED_CONFIG_FILE=str(self.storage / "advanced.config"),
            RABBITMQ_DIST_PORT=str(free_port()),
            RABBITMQ_MNESIA_BASE=str(self.storage / "mnesia"),
            RABBITMQ_LOG_BASE=str(self.storage / "log"),
            RABBITMQ_PID_FILE=str(self.storage / "pid"),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(self.storage / "plugins"),
            RABBITMQ_CONF_ENV_FILE="/dev/null",
        )


SERVICES = {"postgresql": PostgreSql, "redis": Redis, "rabbitmq": RabbitMq}


def answers(port: int) -> bool:
    """Whether something listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("service", choices=sorted(SERVICES))
    parser.add_argument("--port", type=int)
    parser.add_argument("--storage", type=Path, help="folder to keep the data in; temporary if not given")
    arguments = parser.parse_args()
    service = SERVICES[arguments.service](arguments.storage, arguments.port)
    try:
        return service.run_until_asked()
    finally:
        service.close()


if __name__ == "__main__":
    sys.exit(_main())
