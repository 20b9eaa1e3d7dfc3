"""The node's throughput: ``python -m benchmarks.node_throughput [--studies 20] [--broker rabbitmq|redis|none]``.

For 1 and 2 workers: a burst of studies is sent at once; printed are studies per hour, what the node adds to a study beyond the
pipeline itself (from claim to the next claim, against the stages' own seconds and against the same studies run by
`braintumor.pipeline` in one process), and the memory of every process at the start and at the end.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path

import psutil

from benchmarks import machine, table
from benchmarks.node_faults import BROKERS
from benchmarks.node_parts import Process, Site, Template, wait_until_settled
from braintumor import pipeline
from braintumor.segment import load_engine
from deploy.dev.services import PostgreSql


def main() -> None:
    options = _options()
    print(table.machine(machine.facts()))
    with tempfile.TemporaryDirectory(prefix="braintumor-throughput-") as scratch:
        folder = Path(scratch)
        template = Template.make(folder / "template", options.spacing)
        alone = _alone(template, folder / "alone", min(options.studies, 5))
        print(f"\nthe pipeline by itself, one process       {alone:6.2f} s a study, median")
        for workers in options.workers:
            _measure(options, template, folder / f"workers-{workers}", workers)


def _alone(template: Template, folder: Path, count: int) -> float:
    """Seconds of a study by `pipeline.run` with a loaded engine, the first one left out."""
    run = pipeline.RunOptions(engine=load_engine("auto"))
    seconds = []
    for number in range(count + 1):
        template.write(90_000 + number, folder / f"study-{number}")
        started = time.perf_counter()
        pipeline.run(folder / f"study-{number}", folder / f"results-{number}", run)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def _measure(options: argparse.Namespace, template: Template, folder: Path, workers: int) -> None:
    folder.mkdir()
    database = PostgreSql()
    database.start()
    broker = BROKERS[options.broker]() if options.broker != "none" else None
    if broker is not None:
        broker.start()
    site = Site.make(folder, database.url, broker.url if broker else "", workers, quiet_s=3)
    site.start()
    uids = [template.write(1000 * workers + n, folder / "studies" / f"{n:04}") for n in range(options.studies)]
    for n in range(options.studies):
        ok, _ = site.send(folder / "studies" / f"{n:04}")
        if not ok:
            raise SystemExit("a study could not be sent")
    ledger, spool = site.ledger(), site.spool()
    names = [spool.pseudonym(uid) for uid in uids]
    first = _memory(site)
    states = wait_until_settled(ledger, names, 7200)
    last = _memory(site)
    events = {name: ledger.events(name) for name in names}
    begin = min(_at(events[name], "running") for name in names)
    end = max(_at(events[name], "produced") for name in names)
    seconds = [_facts(events[name], "produced")["seconds"] for name in names]
    stages = [sum(_facts(events[name], "produced")["stages"].values()) for name in names]
    busy = (end - begin) * workers / len(names)
    ended = sorted({state.value for state in states.values()})
    print(f"\n{workers} workers, broker {options.broker}, {len(names)} studies at once: {ended}")
    print(f"studies an hour                           {3600 * len(names) / (end - begin):6.0f}")
    print(f"a study, by its stages                    {statistics.median(stages):6.2f} s median")
    print(f"a study, from claim to entry              {statistics.median(seconds):6.2f} s median")
    print(f"a study, worker time in all               {busy:6.2f} s, {100 * (busy / statistics.mean(stages) - 1):.1f} % more")
    for name in first:
        print(f"memory of {name:<31} {first[name]:6.0f} MB, at the end {last.get(name, 0):.0f} MB")
    site.stop()
    for service in (database, broker):
        if service is not None:
            service.close()
    shutil.rmtree(folder, ignore_errors=True)


def _at(events: list[tuple[str, int, str, dict[str, object]]], code: str) -> float:
    return next(datetime.fromisoformat(at).timestamp() for at, _, found, _ in events if found == code)


def _facts(events: list[tuple[str, int, str, dict[str, object]]], code: str) -> dict[str, object]:
    return next(facts for _, _, found, facts in events if found == code)


def _memory(site: Site) -> dict[str, float]:
    """MB of each process with its children."""
    found = {}
    for process in (site.node, *site.workers):
        found[process.name] = _resident(process)
    return found


def _resident(process: Process) -> float:
    if process.running is None:
        return 0.0
    one = psutil.Process(process.running.pid)
    return sum(p.memory_info().rss for p in (one, *one.children(recursive=True))) / 1e6


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--broker", choices=(*BROKERS, "none"), default="rabbitmq")
    parser.add_argument("--spacing", type=float, default=2.0, metavar="MM", help="voxel size of the phantom that is sent")
    return parser.parse_args()


if __name__ == "__main__":
    main()
