"""The node under ``kill -9``: ``python -m benchmarks.node_faults --kills 200 --seed 1 [--broker rabbitmq|redis|none]``.

Studies are sent without a pause, by DCMTK's storescu and by STOW-RS in turn, to a node with PostgreSQL, a broker and two
workers; Orthanc is the destination. Meanwhile node, workers, broker and database are killed at random and started again. A
sender sends a study again until every instance was acknowledged, as a scanner does. Printed at the end: what was
acknowledged and is gone (instances, studies), what is at the destination twice, and what failed.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pydicom

from benchmarks import machine, table
from benchmarks.node_parts import Process, Site, Template, wait_until_settled
from braintumor.node.comparison import same_content
from braintumor.node.states import StudyState
from deploy.dev.services import PostgreSql, RabbitMq, Redis, Service

BROKERS = {"rabbitmq": RabbitMq, "redis": Redis}
WEIGHTS = {"node": 4, "worker": 4, "database": 2, "broker": 1}
"""How often each is hit, relative to the others."""

BACKLOG = 6
"""Studies on their way at once; senders wait beyond."""


class Stream:
    """Sends study after study until told to stop, and remembers what was acknowledged."""

    def __init__(self, site: Site, template: Template, folder: Path) -> None:
        self._site, self._template, self._folder = site, template, folder
        self._lock = threading.Lock()
        self._next = 0
        self.sent: dict[str, Path] = {}
        self.acknowledged: set[Path] = set()
        self.attempts: Counter[str] = Counter()
        self.stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=("storescu", site.send), daemon=True),
            threading.Thread(target=self._run, args=("STOW-RS", site.stow), daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, way: str, send: Callable[[Path], tuple[bool, list[Path]]]) -> None:
        while not self.stop.is_set():
            if self._waiting() >= BACKLOG:
                time.sleep(0.5)
                continue
            with self._lock:
                number, self._next = self._next, self._next + 1
                folder = self._folder / f"{number:04}"
                uid = self._template.write(number, folder)
            done = False
            while not done:  # a sender does not give up: an instance that it could not send would be its own loss
                done, files = send(folder)
                self.attempts[way] += 1
                self.acknowledged.update(files)
                if not done:
                    time.sleep(0.3)
            with self._lock:
                self.sent[uid] = folder

    def _waiting(self) -> int:
        with suppress(Exception):
            ledger, spool = self._site.ledger(), self._site.spool()
            states = [ledger.find(spool.pseudonym(uid)) for uid in list(self.sent)]
            ledger.database.close()
            ended = (StudyState.ACKNOWLEDGED, StudyState.FAILED)
            return sum(study is None or study.state not in ended for study in states)
        return BACKLOG  # the database is down


class Faults:
    """Kills at random moments; what was killed is started again after a while."""

    def __init__(
        self, seed: int, kills: int, mean_s: float, site: Site, database: Service | None, broker: Service | None
    ) -> None:
        self._random, self._kills, self._mean = random.Random(seed), kills, mean_s
        self._site, self._database, self._broker = site, database, broker
        self.done: Counter[str] = Counter()

    def run(self) -> None:
        names = [n for n in WEIGHTS if self._victims(n)]
        while self.done.total() < self._kills:
            time.sleep(min(self._random.expovariate(1 / self._mean), 5 * self._mean))
            name = self._random.choices(names, [WEIGHTS[n] for n in names])[0]
            victim = self._random.choice(self._victims(name))
            victim.kill()
            self.done[name] += 1
            time.sleep(self._random.uniform(0.0, 1.0))
            victim.start()
            if self.done.total() % 20 == 0:
                print(f"  {self.done.total()} of {self._kills} kills", flush=True)

    def _victims(self, name: str) -> list[Process | Service]:
        found: dict[str, list[Process | Service]] = {
            "node": [self._site.node],
            "worker": list(self._site.workers),
            "database": [self._database] if self._database else [],
            "broker": [self._broker] if self._broker else [],
        }
        return found[name]


def check(site: Site, stream: Stream) -> dict[str, int]:
    """What is true after the campaign."""
    spool, ledger = site.spool(), site.ledger()
    names = {uid: spool.pseudonym(uid) for uid in stream.sent}
    states = Counter(state.value for state in wait_until_settled(ledger, list(names.values()), 900).values())
    lost = sum(not _kept(site, path) for path in stream.acknowledged)
    twice = missing = generations = 0
    for uid, name in names.items():
        study = ledger.find(name)
        if study is None:
            missing += 1
            continue
        generations += study.generation - 1
        copies = site.delivered(uid)
        twice += sum(count - 1 for count in copies.values())
        produced = sum(code == "produced" for _, _, code, _ in ledger.events(name))
        if study.state == StudyState.ACKNOWLEDGED:
            found = site.segmentations(uid)
            twice += max(0, found - produced)
            missing += found < produced
    return {
        "studies sent": len(names),
        "instances acknowledged": len(stream.acknowledged),
        **{f"studies {state}": count for state, count in sorted(states.items())},
        "further generations": generations,
        "instances lost": lost,
        "studies lost": missing + len(names) - sum(states.values()),
        "duplicates at the destination": twice,
    }


def _kept(site: Site, path: Path) -> bool:
    header = pydicom.dcmread(path, specific_tags=["StudyInstanceUID", "SOPInstanceUID"])
    content = path.read_bytes()
    arrival = site.spool().read(content, "check")
    kept = site.spool().instances(site.spool().pseudonym(str(header.StudyInstanceUID))) / arrival.file
    return kept.is_file() and same_content(kept.read_bytes(), content)


def main() -> None:
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="braintumor-faults-"))
    database = PostgreSql() if options.database == "postgresql" else None
    broker = BROKERS[options.broker]() if options.broker != "none" else None
    for service in (database, broker):
        if service is not None:
            service.start()
    site = Site.make(
        folder, database.url if database else "", broker.url if broker else "", options.workers, options.quiet, attempts=50
    )
    template = Template.make(folder / "template", options.spacing)
    print(table.machine(machine.facts()))
    print(f"seed {options.seed}, {options.database}, broker {options.broker}, {options.workers} workers", flush=True)
    started = time.monotonic()
    site.start()
    stream = Stream(site, template, folder / "studies")
    stream.start()
    faults = Faults(options.seed, options.kills, options.every, site, database, broker)
    faults.run()
    site.wait_ready()
    stream.join()
    found = check(site, stream)
    print(f"\nkill -9: {faults.done.total()} ({', '.join(f'{n} {c}' for n, c in faults.done.items())})")
    print(f"sending took {dict(stream.attempts)} attempts; {time.monotonic() - started:.0f} s in all\n")
    for words, count in found.items():
        print(f"{words:<32}{count:>8}")
    site.stop()
    for service in (database, broker):
        if service is not None:
            service.close()
    bad = found["instances lost"] + found["studies lost"] + found["duplicates at the destination"]
    if bad:
        raise SystemExit(f"not all is well; everything is kept in {folder}")
    shutil.rmtree(folder, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=3.0, metavar="SECONDS", help="mean time between two kills")
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--broker", choices=(*BROKERS, "none"), default="rabbitmq")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--quiet", type=float, default=15.0, metavar="SECONDS", help="a study is complete after so long")
    parser.add_argument("--spacing", type=float, default=4.0, metavar="MM", help="voxel size of the phantom that is sent")
    return parser.parse_args()


if __name__ == "__main__":
    main()
