"""``faro watch`` and ``faro guard``: look at a run from outside, and be told."""

from __future__ import annotations

import json
import shlex
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from rich.live import Live
from rich.table import Table

from faro.errors import FaroError, Problem, RefusedError
from faro.storage import open_run
from faro.storage.disk import free_bytes
from faro.view.alerts import Sender
from faro.view.dashboard.gate import TOKEN
from faro.view.dashboard.launch import start_dashboard
from faro.view.dashboard.told import told
from faro.view.status import Watched
from faro.view.watchdog import Expected, Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from faro.view.dashboard.launch import Dashboard
    from faro.view.status import Status


Show: TypeAlias = Literal["dashboard", "table", "plain"]
Place: TypeAlias = tuple[str, int]
"""Host and port at which a dashboard listens."""
ANSWER_S: Final = 10.0


class WatchError(FaroError):
    """A run cannot be watched."""


def run_watch(
    console: Console, target: str, *, show: Show, every_s: float, place: Place
) -> int:
    """Show where a run is; return the exit code.

    Parameters
    ----------
    target
        Folder of the run, or the address of its dashboard.
    show
        A dashboard until Ctrl-C; or in the terminal until the run has ended.
    """
    is_url = target.startswith(("http://", "https://"))
    if show == "dashboard" and not is_url:
        return _serve(console, Path(target), place)
    told = _told_by(target, every_s) if is_url else _told_of(Path(target), every_s)
    if show == "plain":
        before = ""
        for text in told:
            line = " | ".join(f"{name} {value}" for name, value in text)
            if line != before:
                console.print(f"{datetime.now(UTC):%H:%M:%S} {line}", markup=False)
            before = line
        return 0
    with Live(console=console, auto_refresh=False) as live:
        for text in told:
            live.update(_table(text), refresh=True)
    return 0


def _serve(console: Console, directory: Path, place: Place) -> int:
    """Show a dashboard until Ctrl-C."""
    open_run(directory)
    dashboard = start_dashboard(directory, host=place[0], port=place[1])
    try:
        introduce(console, dashboard)
        console.print("Ctrl-C ends it; the run goes on.")
        return dashboard.process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        dashboard.close()


def introduce(console: Console, dashboard: Dashboard) -> None:
    """Say where a dashboard is; the token is told here and nowhere else."""
    console.print(f"Dashboard: {dashboard.url}", markup=False)


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
        free = free_bytes(watched.run.path)
        yield list(told(status, watched.plan, free, _now_s()))


def _told_by(url: str, every_s: float) -> Iterator[list[tuple[str, str]]]:
    """Yield again and again what a dashboard tells, until its run has ended.

    Raises
    ------
    WatchError
        If it does not answer, or the token is wrong.
    """
    parts = urlsplit(url)
    token = dict(parse_qsl(parts.query)).get(TOKEN, "")
    place = urlunsplit((parts.scheme, parts.netloc, "/status", "", ""))
    request = Request(place, headers={"Authorization": f"Bearer {token}"})
    while True:
        try:
            with urlopen(request, timeout=ANSWER_S) as answer:
                said = json.load(answer)
        except (OSError, ValueError) as error:
            if isinstance(error, HTTPError):
                error.close()
            problem = f"{parts.netloc} does not tell of a run: {error}."
            remedy = "Give the whole address that was printed, with its token."
            raise WatchError(problem, remedy=remedy) from error
        yield [(name, value) for name, value in said["told"]]
        if said["ended"]:
            return
        time.sleep(every_s)


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
