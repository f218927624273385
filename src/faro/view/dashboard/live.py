"""What the dashboard knows of a run: folded from new journal lines, on one thread."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from faro.errors import FaroError
from faro.storage.disk import free_bytes
from faro.view.status import Plan, Status, Watched, wall_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faro.storage import Run

logger = logging.getLogger(__name__)

KEPT: Final = 1_000
"""Latencies and timepoints that are shown, the newest."""
ERRORS_KEPT: Final = 200
DISK_LOOK: Final = 20
"""The disk is looked at each so many looks."""


@dataclass(slots=True)
class Place:
    """What is known of a position.

    Attributes
    ----------
    timestep, wall_s
        Of the newest image, and when it was stored, UTC seconds since 1970; -1 and 0
        before the first.
    revision
        Grows with everything that is stored for it.
    n_fired
        Stimulations by channel.
    lit
        Sum over fired masks of the fraction of the field that was lit.
    """

    timestep: int = -1
    wall_s: float = 0.0
    revision: int = 0
    n_fired: dict[str, int] = field(default_factory=dict)
    lit: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """An error, as recorded."""

    number: int
    wall: str
    stage: str
    exc_type: str
    message: str
    where: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the loop took for one frame.

    Attributes
    ----------
    stages_ms
        Stage to milliseconds.
    total_ms
        Frame in hand to mask ready, None where no mask was asked for.
    """

    number: int
    stages_ms: Mapping[str, float]
    total_ms: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is shown, at one moment; nobody changes it.

    Attributes
    ----------
    version
        Differs where anything differs.
    places
        Position index to what is known of it.
    latencies, lateness
        The newest; lateness is (timestep, seconds).
    free_bytes
        On the disk of the run.
    """

    version: int = 0
    status: Status = field(default_factory=Status)
    plan: Plan = field(default_factory=Plan)
    places: Mapping[int, Place] = field(default_factory=dict)
    latencies: tuple[Latency, ...] = ()
    lateness: tuple[tuple[int, float], ...] = ()
    errors: tuple[Failure, ...] = ()
    free_bytes: int = 0


class Live:
    """Looks at a run again and again; `now` is what was seen last. Thread-safe.

    Parameters
    ----------
    run
        May be written meanwhile.
    every_s
        Seconds between two looks.
    """

    def __init__(self, run: Run, every_s: float = 0.1) -> None:
        self.run, self._every_s = run, every_s
        self._watched = Watched(run)
        self._n_lines = self._n_looks = 0
        self._lit: dict[tuple[int, int, str], float] = {}
        self._places = {fov: Place() for fov in run.fovs}
        self._latencies: deque[Latency] = deque(maxlen=KEPT)
        self._lateness: deque[tuple[int, float]] = deque(maxlen=KEPT)
        self._errors: deque[Failure] = deque(maxlen=ERRORS_KEPT)
        self._n_latencies = self._n_errors = 0
        self._over = threading.Event()
        self.now = Snapshot()

    def start(self) -> None:
        """Look on a thread of its own, until `close`."""
        threading.Thread(target=self._follow, name="faro-live", daemon=True).start()

    def close(self) -> None:
        """Look no more. Safe to call twice."""
        self._over.set()

    def look(self) -> Snapshot:
        """Look once, and return what was seen."""
        status, lines = self._watched.look(), self.run.journal
        new = lines[self._n_lines :]
        self._n_lines = len(lines)
        for line in new:
            self._take(line)
        if self._n_looks % DISK_LOOK == 0:
            self.now = replace(self.now, free_bytes=free_bytes(self.run.path))
        self._n_looks += 1
        if new or status != self.now.status or self._n_looks == 1:
            self.now = Snapshot(
                self.now.version + 1,
                status,
                self._watched.plan,
                {fov: replace(place) for fov, place in self._places.items()},
                tuple(self._latencies),
                tuple(self._lateness),
                tuple(self._errors),
                self.now.free_bytes,
            )
        return self.now

    def _follow(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                self.look()
            except (OSError, FaroError):
                logger.exception("The run cannot be looked at now.")

    def _take(self, line: Mapping[str, Any]) -> None:
        """Take one line into account."""
        kind, fov = line["kind"], line.get("fov")
        place = self._places.setdefault(int(fov), Place()) if fov is not None else None
        if place is not None and kind in {"frame", "labels", "stim_confirmed"}:
            place.revision += 1
        if place is not None and kind == "frame" and line.get("role") == "image":
            place.timestep = int(line["timestep"])
            place.wall_s = wall_s(line)
        elif kind == "stim_decided":
            self._lit[_shot(line)] = float(line.get("lit_fraction") or 0.0)
        elif place is not None and kind == "stim_confirmed":
            channel = str(line.get("channel", ""))
            place.n_fired = {**place.n_fired}
            place.n_fired[channel] = place.n_fired.get(channel, 0) + 1
            place.lit += self._lit.pop(_shot(line), 0.0)
        elif kind == "latency":
            self._n_latencies += 1
            total = line.get("frame_to_mask_ms")
            stages = line.get("stages_ms") or {}
            self._latencies.append(Latency(self._n_latencies, stages, total))
        elif kind == "timepoint":
            self._lateness.append((int(line["timestep"]), float(line["lateness_s"])))
        elif kind == "error":
            self._errors.append(self._failure(line))

    def _failure(self, line: Mapping[str, Any]) -> Failure:
        self._n_errors += 1
        known = {"FOV": line.get("fov"), "t": line.get("timestep")}
        where = ", ".join(f"{k} {v}" for k, v in known.items() if v is not None)
        return Failure(
            self._n_errors,
            str(line.get("wall", "")),
            str(line.get("stage", "")),
            str(line.get("exc_type", "")),
            str(line.get("message", "")),
            where,
            str(line.get("traceback", "")),
        )


def _shot(line: Mapping[str, Any]) -> tuple[int, int, str]:
    return int(line["fov"]), int(line["timestep"]), str(line.get("channel", ""))


def percentiles(values: Iterable[float]) -> tuple[float, float]:
    """Return the median and the 95th percentile; of none, zeros.

    >>> percentiles([3.0, 1.0, 2.0])
    (2.0, 3.0)
    """
    known = sorted(values)
    if not known:
        return 0.0, 0.0
    last = len(known) - 1
    return known[last // 2], known[min(last, round(0.95 * len(known)))]
