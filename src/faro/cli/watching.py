"""``faro watch`` and ``faro guard``: look at a run from outside, and be told."""

from __future__ import annotations

import shlex
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table

from faro.errors import Problem, RefusedError
from faro.storage import open_run
from faro.storage.disk import free_bytes
from faro.view.alerts import Sender
from faro.view.status import Watched, left_s
from faro.view.watchdog import Expected, Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from faro.storage import Run
    from faro.view.status import Plan, Status

BYTES_PER_GB = 1e9


def run_watch(console: Console, directory: Path, *, plain: bool, every_s: float) -> int:
    """Show where a run is until it ends; return the exit code."""
    if plain:
        before = ""
        for text in _told_of(directory, every_s):
            line = " | ".join(f"{name} {value}" for name, value in text)
            if line != before:
                console.print(f"{datetime.now(UTC):%H:%M:%S} {line}", markup=False)
            before = line
        return 0
    with Live(console=console, auto_refresh=False) as live:
        for text in _told_of(directory, every_s):
            live.update(_table(text), refresh=True)
    return 0


def run_guard(  # noqa: PLR0913  the options of the command
    console: Console,
    directory: Path,
    *,
    notify: Sequence[str],
    commands: Sequence[str],
    late_s: float | None,
    disk_bytes: int,
    features: Sequence[str],
    every_s: float,
) -> int:
    """Tell of what is wrong until the run ends; return 1 if there was an alarm."""
    sender = Sender(tuple(notify), [shlex.split(text) for text in commands])
    wanted = dict(_range(text) for text in features)
    expected = Expected(late_s, disk_bytes=disk_bytes, features=wanted)
    run, dog, n_alarms = open_run(directory), Watchdog(expected, every_s), 0
    watched = Watched(run)
    console.print(f"Guarding {run.path}.", markup=False)
    for status in _looks(watched, every_s):
        alarms = dog.look(
            status,
            watched.plan,
            _now_s(),
            free_bytes=free_bytes(run.path) if disk_bytes else None,
            cells=run.cells if wanted else None,
        )
        for alarm in alarms:
            at = f"{datetime.now(UTC):%H:%M:%S}"
            console.print(f"{at} {alarm.kind}: {alarm.what}", markup=False)
        sender.tell(run.path.name, alarms)
        n_alarms += len(alarms)
    return 1 if n_alarms else 0


def _looks(watched: Watched, every_s: float) -> Iterator[Status]:
    """Yield the status again and again, until the run has ended."""
    while True:
        status = watched.look()
        yield status
        if status.ended:
            return
        time.sleep(every_s)


def _told_of(directory: Path, every_s: float) -> Iterator[list[tuple[str, str]]]:
    """Yield again and again what is told of a run."""
    watched = Watched(open_run(directory))
    for status in _looks(watched, every_s):
        yield list(_told(watched.run, watched.plan, status))


def _told(run: Run, plan: Plan, status: Status) -> Iterator[tuple[str, str]]:
    """Yield what is told of a status: names and values."""
    yield "state", f"{status.state} {status.doing}".strip()
    yield "timepoint", f"{status.timestep + 1}/{plan.n_timepoints}"
    yield "stacks", f"{status.n_stacks}/{plan.n_events}"
    yield "light", f"{status.n_fired} fired, {status.n_skipped} skipped"
    yield "errors", str(status.n_errors)
    if status.lateness_s > 1.0:
        yield "late", f"{status.lateness_s:.1f} s"
    rest_s = left_s(status, plan, _now_s())
    if rest_s is not None:
        yield "left", f"{int(rest_s // 3600)}:{int(rest_s % 3600 // 60):02d} h"
    yield "disk", f"{free_bytes(run.path) / BYTES_PER_GB:.1f} GB"


def _now_s() -> float:
    """Return UTC seconds since 1970, which the journal has too."""
    return datetime.now(UTC).timestamp()


def _table(text: Sequence[tuple[str, str]]) -> Table:
    table = Table(show_header=False, box=None)
    for name, value in text:
        table.add_row(name, value)
    return table


def _range(text: str) -> tuple[str, tuple[float, float]]:
    """Return column and range of ``NAME:LOW:HIGH``."""
    name, _, rest = text.partition(":")
    low, _, high = rest.partition(":")
    try:
        return name, (float(low), float(high))
    except ValueError:
        what = f"{text!r} is no range of a feature."
        problem = Problem("--feature", what, "Write it like cnr:0.2:2.")
        raise RefusedError([problem]) from None
