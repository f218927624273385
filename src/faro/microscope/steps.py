"""Steps that may hang: each runs on a spare thread, with a budget, and is reported."""

from __future__ import annotations

import json
import math
import queue
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    Job: TypeAlias = "_Job | None"

MOST_WORKERS = 32
LEAST_BUDGET_S = 0.1


class Outcome(StrEnum):
    """How a step ended."""

    OK = "ok"
    ERROR = "error"
    HUNG = "hung"


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one step.

    Attributes
    ----------
    name
        What was done, with the device.
    outcome
        ``hung``: it was not done when its budget was used up.
    seconds
        How long it took.
    detail
        The error, or what is worth knowing.
    """

    name: str
    outcome: Outcome
    seconds: float
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the step was done."""
        return self.outcome is Outcome.OK


@dataclass(frozen=True, slots=True)
class CloseReport:
    """What became of every step of a release.

    Attributes
    ----------
    reason
        Why the devices were released.
    steps
        In the order in which they were taken.
    left
        Labels of devices that could not be unloaded.
    seconds
        How long it all took.
    """

    reason: str
    steps: tuple[StepResult, ...] = ()
    left: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every device was released."""
        return not self.left and all(step.ok for step in self.steps)

    def to_json(self) -> str:
        """Return the report as one line."""
        return json.dumps({**asdict(self), "ok": self.ok})


@dataclass(slots=True)
class _Job:
    action: Callable[[], object]
    done: threading.Event = field(default_factory=threading.Event)
    started: bool = False
    dropped: bool = False
    error: BaseException | None = None


def _work(jobs: queue.SimpleQueue[Job]) -> None:
    while (job := jobs.get()) is not None:
        if job.dropped:
            continue
        job.started = True
        try:
            job.action()
        except BaseException as error:  # noqa: BLE001  reported, whatever it is
            job.error = error
        job.done.set()


def _dismiss(jobs: queue.SimpleQueue[Job], n_workers: int) -> None:
    for _ in range(n_workers):
        jobs.put(None)


class StepRunner:
    """Runs steps one after the other, none longer than its budget.

    The threads are started before they are needed, because a process that ends can
    start none. A step that hangs costs its thread, not the caller.

    Parameters
    ----------
    workers
        How many steps may hang before no further step can be taken where no thread
        can be started any more; elsewhere a worker that hangs is replaced.
    most
        How many workers there may be in all.
    """

    def __init__(self, workers: int = 8, most: int = MOST_WORKERS) -> None:
        self._most = max(workers, most)
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._deadline_s: float | None = None
        for _ in range(workers):
            self._add_worker()
        self._dismissal = weakref.finalize(self, _dismiss, self._jobs, self._most)
        self._dismissal.atexit = False

    def _add_worker(self) -> None:
        name = f"faro-step-{len(self._threads)}"
        work = threading.Thread(
            target=_work, args=(self._jobs,), name=name, daemon=True
        )
        work.start()
        self._threads.append(work)

    def _replace_worker(self) -> None:
        """Start a worker for one that hangs, unless the process ends already."""
        if len(self._threads) < self._most:
            with suppress(RuntimeError):
                self._add_worker()

    def hurry(self, within_s: float) -> None:
        """Let all steps together take ``within_s`` from now, each at least a moment."""
        self._deadline_s = time.perf_counter() + within_s

    def time_left_s(self, reserve_s: float) -> float:
        """Return what is left of the time of `hurry`, less ``reserve_s``."""
        if self._deadline_s is None:
            return math.inf
        left_s = self._deadline_s - time.perf_counter() - reserve_s
        return max(LEAST_BUDGET_S, left_s)

    def close(self) -> None:
        """Let the workers go; no step can be taken after this. Safe to call twice."""
        self._dismissal()

    def runs_on(self, thread: threading.Thread) -> bool:
        """Return whether ``thread`` is one of the workers."""
        return thread in self._threads

    def run(
        self, name: str, action: Callable[[], object], budget_s: float
    ) -> StepResult:
        """Run ``action`` and wait for it, at most ``budget_s``. Never raises."""
        start = time.perf_counter()
        if self._deadline_s is not None:
            budget_s = min(budget_s, max(LEAST_BUDGET_S, self._deadline_s - start))
        job = _Job(action)
        self._jobs.put(job)
        finished = job.done.wait(budget_s)
        seconds = round(time.perf_counter() - start, 6)
        if not finished:
            job.dropped = True
            detail = f"not done after {budget_s:.3g} s"
            if not job.started:
                detail = "not started: every worker hangs"
            self._replace_worker()
            return StepResult(name, Outcome.HUNG, seconds, detail)
        if job.error is not None:
            detail = f"{type(job.error).__name__}: {job.error}"
            return StepResult(name, Outcome.ERROR, seconds, detail)
        return StepResult(name, Outcome.OK, seconds)
