"""What the dashboard costs the loop, and whether it minds viewers that come and go.

Run ``python benchmarks/dashboard.py [pairs]`` for the cost. A pair is two runs of the
same experiment on the simulated microscope (1024 x 1024, 4 frames a second, the usual
pipeline with light): one that nobody looks at, and one with a dashboard and three
clients that each ask for the status and the newest image ten times a second. Which of
the two comes first alternates. Printed are, over the pairs, the change of the loop's
median and 95th percentile (frame in hand to mask ready), and the dashboard's share of
one core. Clients are one process of their own.

Run ``python benchmarks/dashboard.py --come-and-go N`` to have viewers attach to a run
and leave N times: by turns after a whole answer, in the middle of one, never reading
it, and by a dashboard that is killed (SIGKILL) and started again, every twentieth time.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from urllib.request import Request, urlopen

import psutil

from faro.run.files import prepare
from faro.storage import open_run
from faro.view.dashboard.launch import Dashboard, start_dashboard
from faro.view.dashboard.live import percentiles

N_CLIENTS = 3
RATE_HZ = 10.0
WARM = 8
WARM_S = 6.0
"""Time for the dashboard to load its libraries."""
EXPERIMENT = """
name = "cost"
[microscope]
rig = "simulated"
parameters = { seed = 4, image_shape = [1024, 1024] }
[sequence]
stage_positions = [{ x = 0, y = 0 }]
time_plan = { interval = 0.25, loops = LOOPS }
channels = [{ config = "miRFP", exposure = 20 }]
stim_channels = [{ config = "CyanStim", exposure = 20, power = 10 }]
stim_frames = { start = 1, stop = LOOPS }
[pipeline.stimulator]
component = "PercentageOfCell"
parameters = { fraction = 0.3, direction = [-1.0, 0.0] }
"""


@dataclass(frozen=True)
class Half:
    """One run: latencies in ms, and what the dashboard used of one core."""

    p50_ms: float
    p95_ms: float
    share: float
    n_answers: int


def token_of(url: str) -> str:
    return dict(parse_qsl(urlsplit(url).query))["token"]


def ask(url: str, path: str) -> bytes:
    place = f"http://{urlsplit(url).netloc}{path}"
    header = {"Authorization": f"Bearer {token_of(url)}"}
    with urlopen(Request(place, headers=header), timeout=30) as answer:
        body: bytes = answer.read()
    return body


def client(url: str, over: threading.Event, counts: list[int]) -> None:
    """Ask for status and image ten times a second, as a page does."""
    due_s = time.monotonic()
    while not over.is_set():
        told = dict(json.loads(ask(url, "/status"))["told"])
        newest = int(told["timepoint"].partition("/")[0]) - 2
        if newest >= 0:
            ask(url, f"/image/0/{newest}?channel=miRFP&side=896")
            counts.append(1)
        due_s = max(due_s + 1 / RATE_HZ, time.monotonic() - 1.0)
        over.wait(max(0.0, due_s - time.monotonic()))


def clients(url: str) -> int:
    """Be three clients until stdin ends; print how often all were answered."""
    over, counts = threading.Event(), list[int]()
    args = (url, over, counts)
    threads = [threading.Thread(target=client, args=args) for _ in range(N_CLIENTS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    print(len(counts))
    return 0


def used_s(process: int) -> float:
    """Return the CPU seconds of a process so far."""
    used = psutil.Process(process).cpu_times()
    return float(used.user + used.system)


def half(folder: Path, n_loops: int, *, watched: bool) -> Half:
    """Run the experiment once, watched or not."""
    file = folder / "cost.toml"
    file.write_text(EXPERIMENT.replace("LOOPS", str(n_loops)), "utf-8")
    run = folder / ("on" if watched else "off")
    prepared, asking, dashboard, n_answers = prepare(file), None, None, 0
    before_s = 0.0
    if watched:
        dashboard = start_dashboard(run)
        command = [sys.executable, __file__, "--clients", dashboard.url]
        pipe = subprocess.PIPE
        asking = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        time.sleep(WARM_S)
        before_s = used_s(dashboard.process.pid)
    begun_s = time.monotonic()
    prepared.run(run)
    lasted_s, share = time.monotonic() - begun_s, 0.0
    if asking is not None and dashboard is not None:
        share = (used_s(dashboard.process.pid) - before_s) / lasted_s
        n_answers = int(asking.communicate()[0])
        dashboard.close()
    lines = [x for x in open_run(run).journal if x["kind"] == "latency"]
    known = [x["frame_to_mask_ms"] for x in lines if x["timestep"] >= WARM]
    return Half(*percentiles(known), share, n_answers)


def cost(n_pairs: int, n_loops: int) -> None:
    """Print what watching costs."""
    changes_p50, changes_p95, shares = [], [], []
    for number in range(n_pairs):
        order = (True, False) if number % 2 else (False, True)
        with tempfile.TemporaryDirectory() as folder:
            found = {w: half(Path(folder), n_loops, watched=w) for w in order}
        on, off = found[True], found[False]
        changes_p50.append(100 * (on.p50_ms / off.p50_ms - 1))
        changes_p95.append(100 * (on.p95_ms / off.p95_ms - 1))
        shares.append(100 * on.share)
        print(
            f"pair {number}: p50 {off.p50_ms:.2f} -> {on.p50_ms:.2f} ms, "
            f"p95 {off.p95_ms:.2f} -> {on.p95_ms:.2f} ms, "
            f"dashboard {100 * on.share:.0f} % of a core, "
            f"{on.n_answers} answers",
            flush=True,
        )
    for name, values in (("p50", changes_p50), ("p95", changes_p95)):
        print(
            f"{name}: {statistics.median(values):+.1f} % "
            f"({min(values):+.1f} to {max(values):+.1f})"
        )
    load = psutil.getloadavg()[0]
    share = statistics.median(shares)
    print(f"dashboard: {share:.0f} % of a core; load {load:.1f} on {os.cpu_count()}")


def come_and_go(n_times: int) -> None:
    """Attach and leave; then say how the run went on."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "long.toml"
        small = EXPERIMENT.replace("1024", "256").replace("LOOPS", "10000")
        file.write_text(small, "utf-8")
        command = [sys.executable, "-m", "faro", "run", str(file), "--no-progress"]
        command += ["-o", str(folder / "run")]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as run:
            while not (folder / "run" / "journal.jsonl").exists():
                if run.poll() is not None:
                    sys.exit("The run did not begin.")
                time.sleep(0.1)
            visit(folder / "run", n_times)
            alive, lines = run.poll() is None, open_run(folder / "run").journal
            run.terminate()
        late_s = [x["lateness_s"] for x in lines if x["kind"] == "timepoint"]
        errors = sum(x["kind"] == "error" for x in lines)
        print(f"{n_times} visits; run alive: {alive}, errors: {errors}")
        print(f"{len(late_s)} timepoints, p95 late {percentiles(late_s)[1]:.3f} s")


def visit(run: Path, n_times: int) -> None:
    dashboard = start_dashboard(run)
    for number in range(n_times):
        if number % 20 == 19:
            dashboard.process.kill()
            dashboard.close()
            dashboard = start_dashboard(run)
        elif number % 3 == 0:
            ask(dashboard.url, "/")
        else:
            rude(dashboard, reads=number % 3 == 1)
    ask(dashboard.url, "/status")
    dashboard.close()


def rude(dashboard: Dashboard, *, reads: bool) -> None:
    """Ask for the page and hang up, in the middle of the answer or before it."""
    parts = urlsplit(dashboard.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as line:
        head = f"GET / HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        head += f"Authorization: Bearer {token_of(dashboard.url)}\r\n\r\n"
        line.sendall(head.encode())
        if reads:
            line.recv(64)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=int, nargs="?", default=10)
    parser.add_argument("--loops", type=int, default=60)
    parser.add_argument("--come-and-go", type=int, default=0)
    parser.add_argument("--clients", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.clients:
        return clients(given.clients)
    if given.come_and_go:
        come_and_go(given.come_and_go)
    else:
        cost(given.pairs, given.loops)
    return 0


if __name__ == "__main__":
    sys.exit(main())
