"""Progress is expected, not life: nothing is told without need, nothing is missed."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from faro.cli import app
from faro.errors import RefusedError
from faro.model import CellTable
from faro.storage import open_run
from faro.testing.posix import kill_hard
from faro.view.alerts import Sender
from faro.view.status import Plan, StatusFold, Watched, due_wall_s, left_s
from faro.view.watchdog import Alarm, Expected, Watchdog, silent_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

START = datetime(2026, 11, 27, tzinfo=UTC)
INTERVAL_S, N_FOVS, HOURS = 300.0, 6, 72
Line = dict[str, Any]


def at(run_s: float) -> str:
    return (START + timedelta(seconds=run_s)).isoformat()


def started() -> Line:
    wall_ns = round(START.timestamp() * 1e9)
    return {"kind": "run_started", "wall": at(0), "wall_ns": wall_ns}


def timepoint(
    t: int, run_s: float, lateness_s: float = 0.0, shift_s: float = 0
) -> Line:
    said = {"timestep": t, "fov": 0, "lateness_s": lateness_s, "shift_s": shift_s}
    return {"kind": "timepoint", "wall": at(run_s), "planned_s": t * INTERVAL_S, **said}


def frame(t: int, fov: int, run_s: float) -> Line:
    where = {"timestep": t, "fov": fov, "role": "image"}
    return {"kind": "frame", "wall": at(run_s), **where}


def plan(n_timepoints: int) -> Plan:
    due = [t * INTERVAL_S for t in range(n_timepoints) for _ in range(N_FOVS)]
    return Plan(tuple(due), n_timepoints * N_FOVS, n_timepoints)


def lived(n_timepoints: int, seed: int) -> list[tuple[float, Line]]:
    """Return a run as it goes in a laboratory: jitter, late timepoints, pauses."""
    rng, lines, shift_s = random.Random(seed), [(0.0, started())], 0.0
    for t in range(n_timepoints):
        if rng.random() < 0.01:
            kind = rng.choice(["paused", "waiting"])
            begun_s = (t - 0.9) * INTERVAL_S + shift_s if t else 0.1
            waited_s = rng.uniform(10, 8 * 3600)
            said = {
                "wall": at(begun_s),
                "reason": "",
                "start_at": at(begun_s + waited_s),
            }
            lines.append((begun_s, {"kind": kind, **said}))
            shift_s += max(0.0, begun_s + waited_s - t * INTERVAL_S - shift_s)
            resumed = {"kind": "resumed", "wall": at(begun_s + waited_s)}
            lines.append((begun_s + waited_s, {**resumed, "shift_s": shift_s}))
        late_s = rng.expovariate(1.0) if rng.random() < 0.9 else rng.uniform(0, 200)
        run_s = max(t * INTERVAL_S + shift_s + late_s, lines[-1][0])
        lines.append((run_s, timepoint(t, run_s, late_s, shift_s)))
        for fov in range(N_FOVS):
            run_s += rng.uniform(1, 20)
            lines.append((run_s, frame(t, fov, run_s)))
    return lines


@pytest.mark.parametrize("seed", range(3))
def test_three_days_of_a_healthy_run_raise_no_alarm(seed: int) -> None:
    n_timepoints = int(HOURS * 3600 / INTERVAL_S)
    lines, whole = lived(n_timepoints, seed), plan(n_timepoints)
    fold, dog, taken, alarms = StatusFold(), Watchdog(), 0, []
    now_s, status = 0.0, fold.status
    while now_s < lines[-1][0]:
        now_s += 20.0
        new = []
        while taken < len(lines) and lines[taken][0] <= now_s:
            new.append(lines[taken][1])
            taken += 1
        status = fold.take(new)
        alarms += dog.look(status, whole, START.timestamp() + now_s)
    assert status.n_stacks == n_timepoints * N_FOVS
    assert alarms == []


@pytest.mark.parametrize("stops_at", [1, 100, 863])
def test_a_stall_is_told_in_time_and_once(stops_at: int) -> None:
    n_timepoints = int(HOURS * 3600 / INTERVAL_S)
    lines, whole = lived(n_timepoints, 5), plan(n_timepoints)
    marks = [i for i, (_, line) in enumerate(lines) if line["kind"] == "timepoint"]
    end = marks[stops_at]
    fold, dog = StatusFold(), Watchdog()
    status = fold.take(line for _, line in lines[: end + 1])
    stalls = START.timestamp() + lines[end][0]
    assert (due_wall_s(status, whole) or 0.0) <= stalls + INTERVAL_S
    assert dog.look(status, whole, stalls + 2 * INTERVAL_S) == []
    (alarm,) = dog.look(status, whole, stalls + 3 * INTERVAL_S + 1)
    assert alarm.kind == "stall"
    assert dog.look(status, whole, stalls + 4 * INTERVAL_S) == []
    goes_on = lines[end + 1 : end + 9]
    status = fold.take(line for _, line in goes_on)
    assert dog.look(status, whole, START.timestamp() + goes_on[-1][0] + 1) == []


def test_a_fast_run_is_given_five_seconds() -> None:
    fast = Plan(tuple(0.1 * t for t in range(50)), 50, 50)
    fold, dog = StatusFold(), Watchdog(every_s=1.0)
    status = fold.take([started(), timepoint(0, 0.0)])
    assert silent_s(status, fast) == silent_s(status, Plan()) == 5.0
    now = START.timestamp()
    assert dog.look(status, fast, now + 3.9) == []
    assert [a.kind for a in dog.look(status, fast, now + 4.1)] == ["stall"]


def test_a_run_without_times_is_given_what_it_has_shown() -> None:
    fold, dog, untimed = StatusFold(), Watchdog(), Plan((), 20, 20)
    lines = [started(), timepoint(0, 0.0), timepoint(1, 40.0), timepoint(2, 50.0)]
    status = fold.take(lines)
    now = START.timestamp() + 50.0
    assert dog.look(status, untimed, now + 119) == []
    assert [a.kind for a in dog.look(status, untimed, now + 121)] == ["stall"]


def test_a_run_that_waits_for_a_time_that_has_passed_is_told() -> None:
    fold, dog, whole = StatusFold(), Watchdog(), plan(10)
    waits = {"kind": "waiting", "wall": at(1), "start_at": at(3600)}
    status = fold.take([started(), timepoint(0, 0.5), waits])
    assert status.doing.startswith("until ")
    now = START.timestamp() + 3600
    assert dog.look(status, whole, now + 590) == []
    assert [a.kind for a in dog.look(status, whole, now + 610)] == ["stall"]


def test_the_rest_of_a_run_may_be_written_down() -> None:
    fold, dog, short = StatusFold(), Watchdog(), Plan((0.0,), 1, 1)
    labels = {"kind": "labels", "wall": at(30)}
    status = fold.take([started(), timepoint(0, 0.0), frame(0, 0, 0.1), labels])
    now = START.timestamp()
    assert dog.look(status, short, now + 89) == []
    assert [a.kind for a in dog.look(status, short, now + 91)] == ["stall"]


def test_a_run_that_is_resumed_goes_on() -> None:
    fold, dog, whole = StatusFold(), Watchdog(), plan(10)
    ended = {"kind": "run_finished", "reason": "stopped by the user", "wall": at(2)}
    resumed = {"kind": "run_resumed", "wall": at(9000)}
    shifted = {"kind": "schedule_resumed", "wall": at(9001), "shift_s": 8900.0}
    status = fold.take([started(), timepoint(0, 0.5), ended, resumed, shifted])
    assert (status.state, status.shift_s) == ("running", 8900.0)
    assert dog.look(status, whole, START.timestamp() + 9300) == []


def test_an_autofocus_that_fails_and_a_lack_of_room_are_told() -> None:
    fold, dog, whole = StatusFold(), Watchdog(), plan(10)
    failed = {"kind": "autofocus_failed", "wall": at(2), "fov": 0, "timestep": 0}
    lacks = {"kind": "room_lacking", "wall": at(3), "reason": "1 GB are left"}
    status = fold.take([started(), timepoint(0, 0.5), failed, lacks])
    alarms = dog.look(status, whole, START.timestamp() + 5)
    assert [a.kind for a in alarms] == ["disk", "focus"]
    assert dog.look(status, whole, START.timestamp() + 5e4) == []


def test_ends_lateness_errors_disk_and_features_are_told() -> None:
    fold = StatusFold()
    wanted = Expected(late_s=60, disk_bytes=10**9, features={"cnr": (0.2, 2.0)})
    dog, whole = Watchdog(wanted), plan(4)
    now = START.timestamp() + 10
    ids = np.array([0, 0, 1])
    table = {"timestep": ids, "cnr": np.array([0.5, 0.6, 9.0])}
    status = fold.take([started(), timepoint(0, 1.0, lateness_s=61.0)])
    look = dog.look(status, whole, now, free_bytes=5, cells=CellTable(table))
    assert sorted(a.kind for a in look) == ["disk", "feature", "late"]
    assert dog.look(status, whole, now, free_bytes=5, cells=CellTable(table)) == []
    failed = {"kind": "error", "stage": "track", "message": "no", "wall": at(3)}
    told = dog.look(fold.take([failed, failed]), whole, now, free_bytes=10**10)
    assert told == [Alarm("errors", "2 new errors, the last: track: no")]
    ended = {"kind": "run_finished", "reason": "the camera is gone", "wall": at(4)}
    (last,) = dog.look(fold.take([ended]), whole, now)
    assert last == Alarm("end", "the run ended: the camera is gone")
    done = StatusFold().take([started(), ended | {"reason": "completed"}])
    assert Watchdog().look(done, whole, now + 1e6) == []


def test_what_is_left_is_told() -> None:
    whole, fold = plan(10), StatusFold()
    status = fold.take([started(), timepoint(4, 1220.0, lateness_s=20.0)])
    now = START.timestamp() + 1220
    assert left_s(status, whole, now) == pytest.approx(9 * 300 + 20 - 1220)
    ended = fold.take([{"kind": "run_finished", "reason": "completed", "wall": at(9)}])
    assert left_s(ended, whole, now) is None


RUN = """
import sys
import numpy as np
import faro
from faro.testing.canned import CannedMicroscope
sequence = faro.RTMSequence(
    time_plan={"interval": 0.3, "loops": 400}, channels=["a"], stage_positions=[(0, 0)]
)
microscope = CannedMicroscope(lambda *_: np.zeros((8, 8), np.uint16), (8, 8), ("a",))
controller = faro.Controller(microscope, writer=faro.OmeZarrWriter(sys.argv[1]))
controller.run_experiment(sequence)
"""


@contextmanager
def http_server() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Serve on loopback; yield the port and what was posted."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            n_bytes = int(self.headers["Content-Length"])
            got.append(json.loads(self.rfile.read(n_bytes)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port, got
        server.shutdown()
        thread.join(5)


@contextmanager
def mail_server() -> Iterator[tuple[int, list[str]]]:
    """Take mail on loopback; yield the port and the messages."""
    got: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_take_mail, args=(server, got), daemon=True)
        thread.start()
        yield server.getsockname()[1], got
        thread.join(10)


def _take_mail(server: socket.socket, got: list[str]) -> None:
    connection, _ = server.accept()
    with connection, connection.makefile("rwb") as stream:

        def say(text: str) -> None:
            stream.write(f"{text}\r\n".encode())
            stream.flush()

        say("220 here")
        while line := stream.readline().decode().strip():
            if line.upper() == "DATA":
                say("354 go on")
                text = []
                while (part := stream.readline().decode().rstrip("\r\n")) != ".":
                    text.append(part)
                got.append("\n".join(text))
            say("221 bye" if line.upper() == "QUIT" else "250 fine")
            if line.upper() == "QUIT":
                return


def has_frames(path: Path) -> bool:
    journal = path / "journal.jsonl"
    return journal.exists() and b'"frame"' in journal.read_bytes()


def test_a_run_that_is_killed_before_its_first_line_is_told(
    write_run: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "begun"
    shutil.copytree(write_run(), folder)
    (folder / "journal.jsonl").unlink()
    (folder / "summary.json").unlink()
    (folder / "run.json").touch()
    assert Watched(open_run(folder)).look().state == "starting"
    long_ago = datetime.now(UTC).timestamp() - 60
    os.utime(folder / "run.json", (long_ago, long_ago))
    status = Watched(open_run(folder)).look()
    assert (status.state, status.doing) == ("killed", "its process has ended")


def test_a_run_that_is_killed_is_told_by_hook_mail_and_command(tmp_path: Path) -> None:
    path, note = tmp_path / "run", tmp_path / "note.txt"
    writes = tmp_path / "note.py"
    writes.write_text(
        f"import sys, pathlib\n"
        f"pathlib.Path({str(note)!r}).write_text(str(sys.argv[1:]))\n",
        encoding="utf-8",
    )
    run = subprocess.Popen([sys.executable, "-c", RUN, str(path)])
    with http_server() as (port, posted), mail_server() as (mail_port, mails):
        who = "from=faro@lab.test&to=me@lab.test&mode=insecure"
        mail = f"mailto://127.0.0.1:{mail_port}/?{who}"
        given = ["guard", str(path), "--every", "0.2", "--notify"]
        given += [f"json://127.0.0.1:{port}/hook", "--notify", mail]
        given += ["--command", f"{sys.executable} {writes}"]
        deadline = time.monotonic() + 60
        while not has_frames(path) and time.monotonic() < deadline:
            time.sleep(0.05)
        threading.Timer(1.0, kill_hard, [run.pid]).start()
        result = CliRunner().invoke(app, given)
        run.wait(10)
    assert result.exit_code == 1, result.output
    assert "crash: the run's process is gone" in result.output
    assert [p["title"] for p in posted] == ["FARO: run"]
    assert "crash" in posted[0]["message"]
    assert len(mails) == 1
    assert "Subject: FARO: run" in mails[0]
    assert "crash" in note.read_text("utf-8")


def test_addresses_that_are_none_are_all_named() -> None:
    with pytest.raises(RefusedError, match="2 problems") as refused:
        Sender(("nothing", "json://127.0.0.1/x", "ftp//wrong"))
    assert "'nothing' is no address" in str(refused.value)
    given = ["guard", "nowhere", "--feature", "cnr:low:high"]
    assert "Write it like cnr:0.2:2" in CliRunner().invoke(app, given).output


def test_a_way_that_fails_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with http_server() as (port, posted):
        dead = "json://me:secret@127.0.0.1:9/nobody"
        sender = Sender((dead, f"json://127.0.0.1:{port}/x"), [["no-such-program"]])
        failed = sender.tell("r", [Alarm("stall", "x")])
    assert failed == 2
    assert len(posted) == 1
    assert "could not be told to json://" in caplog.text
    assert "secret" not in caplog.text.partition("could not be told")[2]


def test_a_run_is_watched_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "run"
    short = RUN.replace("400", "4")
    subprocess.run([sys.executable, "-c", short, str(path)], check=True)
    for plain in (["--plain"], ["--table"]):
        result = CliRunner().invoke(app, ["watch", str(path), *plain])
        assert result.exit_code == 0, result.output
        assert "finished completed" in result.output
        assert "4/4" in result.output
