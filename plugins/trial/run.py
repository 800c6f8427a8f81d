#!/usr/bin/env python3
"""Runs sinks in a real node against destinations that fail at random: they refuse, are
busy, hang, break connections with and without having stored, die and come back. Fails
if an acknowledged record is missing, or if anything but the bad records is rejected.

    plugins/trial/run.py --sluice target/release/sluice --sinks plugins/dist
    plugins/trial/run.py --sluice … --sinks … --seconds 300 --seed 7 loki
"""

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

from harness import clients_harness  # noqa: E402, F401
from harness.faults import Deaths, Faults  # noqa: E402
from harness.node import Node  # noqa: E402
from harness.senders import Senders  # noqa: E402
from harness.verdict import judge  # noqa: E402
from harness_of_clients.processes import end_all  # noqa: E402

SENDERS = 8
# From the last fault to the last answer.
FINISH_LIMIT_S = 120
REASONS_SHOWN = 2


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help="files of destinations/; all without one")
    parser.add_argument("--sluice", required=True, type=Path, help="the program")
    parser.add_argument("--sinks", required=True, type=Path, help="the folder of the components")
    parser.add_argument("--seconds", type=float, default=60, help="how long there are faults")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--write-concurrency", type=int, default=2, help="limits.concurrency")
    return parser.parse_args()


def trial(options, name, folder):
    module = importlib.import_module(f"destinations.{name}")
    faults = Faults(options.seed)
    destination = module.Destination(faults)
    destination.start()
    permissions = destination.permissions()
    node = Node(options.sluice.resolve(), folder, permissions)
    sink = options.sinks.resolve() / f"{destination.sink or name}.wasm"
    concurrency = ("--concurrency", str(options.write_concurrency))
    node.use(sink, destination.config_text(), permissions, *concurrency)
    senders = Senders(node.port, destination, SENDERS)
    deaths = Deaths(destination, faults)
    faults.begin()
    deaths.start()
    time.sleep(options.seconds)
    faults.end()
    deaths.stop()
    senders.finish(FINISH_LIMIT_S)
    node.process.end()
    destination.die()
    return judge(senders, destination, faults, deaths.count)


def main():
    options = arguments()
    files = sorted((HERE / "destinations").glob("[!_]*.py"))
    names = options.names or [file.stem for file in files]
    failed = 0
    for name in names:
        print(f"{name}: seed {options.seed}, {options.seconds:g} s", flush=True)
        with tempfile.TemporaryDirectory(prefix=f"trial-{name}-") as folder:
            try:
                figures, problems, reasons = trial(options, name, Path(folder))
            finally:
                end_all()
        for what, count in figures.items():
            print(f"  {what}: {count}")
        for reason in sorted(set(reasons.values()))[:REASONS_SHOWN]:
            print(f"  a reason: {reason}")
        for problem in problems:
            print(f"  WRONG: {problem}")
        failed += bool(problems)
    passed = len(names) - failed
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
