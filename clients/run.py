#!/usr/bin/env python3
"""Runs real log clients against a cluster that fails over, and fails if anything
that a client believes delivered is missing.

    clients/run.py --built target                    # all clients
    clients/run.py --built target winston otel-python-grpc
"""

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

from harness import install, verdict  # noqa: E402
from harness.client import Client, Run  # noqa: E402
from harness.cluster import Cluster, node_flags  # noqa: E402
from harness.faults import SCENARIOS, run_plan  # noqa: E402
from harness.processes import eventually, end_all  # noqa: E402

# From the last planned fault to the client's own end.
FINISH_LIMIT_S = 240


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("clients", nargs="*", help="how their folders' names begin; all without one")
    parser.add_argument("--built", default="target", help="the build's directory")
    parser.add_argument("--sluice", help="the program, if not <built>/debug/sluice")
    parser.add_argument("--guests", help="the sinks, if not <built>/guests/…/release")
    parser.add_argument("--consul", default=os.environ.get("CONSUL", "consul"))
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS))
    parser.add_argument("--count", type=int, default=1500, help="messages per client")
    parser.add_argument("--pause-ms", type=int, default=20, help="between two messages")
    parser.add_argument("--together", type=int, default=12, help="clients at a time")
    options = parser.parse_args()
    built = Path(options.built).resolve()
    options.cache = built / "clients"
    options.sluice = Path(options.sluice or built / "debug/sluice").resolve()
    guests = options.guests or built / "guests/wasm32-wasip2/release"
    options.sink = Path(guests).resolve() / "misbehave.wasm"
    options.scenarios = options.scenario or list(SCENARIOS)
    return options


def chosen(options, listeners):
    """The clients to run, and the ones that this program has no listener for."""
    every = [Client(file.parent) for file in sorted(HERE.glob("*/client.toml"))]
    names = options.clients or [""]
    for name in names:
        if not any(client.name.startswith(name) for client in every):
            sys.exit(f"no client's name begins with {name}")
    wanted = [client for client in every if client.name.startswith(tuple(names))]
    able = [c for c in wanted if c.listener == "http" or c.listener in listeners]
    return able, [c for c in wanted if c not in able]


def outcome(cluster):
    output = verdict.numbers_by_client(cluster.output())
    letters = verdict.numbers_by_client(cluster.dead_letters())
    return output, letters


def await_ends(cluster, runs):
    """Waits until the clients end. Releases one that waits for it once all it
    has sent is there, or nothing more comes. Returns the ones that hang."""
    deadline = time.monotonic() + FINISH_LIMIT_S
    size, quiet_since = 0, time.monotonic()
    while time.monotonic() < deadline:
        open_runs = [run for run in runs if not run.has_ended()]
        if not open_runs:
            return []
        now_size = len(cluster.output())
        if now_size != size:
            size, quiet_since = now_size, time.monotonic()
        quiet_s = max(run.client.quiet_s for run in open_runs)
        if time.monotonic() - quiet_since > quiet_s or is_all_there(cluster, runs):
            for run in runs:
                run.release()
        time.sleep(2)
    return [run for run in runs if not run.has_ended()]


def is_all_there(cluster, runs):
    output, letters = outcome(cluster)
    for run in runs:
        if run.has_ended():
            continue
        name = run.client.name
        there = output.get(name, {}).keys() | letters.get(name, {}).keys()
        if not set(range(1, run.count + 1)) <= there:
            return False
    return True


def play(scenario, clients, options, folder):
    """One scenario with these clients at the same time. Returns the verdicts."""
    wanted = SCENARIOS[scenario]
    shutil.rmtree(folder, ignore_errors=True)
    listeners = {client.listener for client in clients} - {"http"}
    cluster = Cluster(options, folder / "cluster", listeners, wanted.refuses)
    try:
        node = cluster.follower() if wanted.spares_the_node else cluster.leader()
        cluster.spared = node if wanted.spares_the_node else None
        runs = [
            Run(c, options.cache, node, options.count, options.pause_ms, folder / c.name)
            for c in clients
        ]
        eventually("the clients send", 60, lambda: all(run.has_begun() for run in runs))
        run_plan(cluster, wanted.plan, time.monotonic())
        hanging = await_ends(cluster, runs)
        output, letters = outcome(cluster)
        verdicts = []
        for run in runs:
            name, code = run.client.name, run.process.popen.poll()
            trouble = "hangs" if run in hanging else f"exit code {code}" if code else ""
            verdicts.append(verdict.judge(
                scenario, wanted.refuses, run,
                output.get(name, {}), letters.get(name, {}), trouble,
            ))
        return verdicts
    finally:
        end_all()


def main():
    options = arguments()
    clients, unable = chosen(options, node_flags(options.sluice))
    for client in clients:
        install.install(client, options.cache)
    verdicts = []
    for scenario in options.scenarios:
        for start in range(0, len(clients), options.together):
            group = clients[start:start + options.together]
            folder = options.cache / "runs" / f"{scenario}-{start // options.together + 1}"
            names = ", ".join(client.name for client in group)
            print(f"{scenario}: {names}", file=sys.stderr, flush=True)
            verdicts += play(scenario, group, options, folder)
    print(verdict.table(verdicts))
    for client in unable:
        print(f"not run: {client.name} needs a listener for {client.listener}")
    promises = {client.name: client.promise for client in clients}
    bad = [
        one for one in verdicts
        if not one.is_good(promises[one.client], SCENARIOS[one.scenario])
    ]
    for one in bad:
        print(f"BAD: {one.scenario}, {one.client}: {one.trouble} lost {one.lost[:20]}, "
              f"doubted {one.doubted}, repeated {one.repeated}")
    sys.exit(1 if bad or not verdicts else 0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    finally:
        end_all()
