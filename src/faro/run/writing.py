"""Threads that write what the run produces, bounded in bytes, off the hot path."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from faro.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

logger = logging.getLogger(__name__)

WhenSlow: TypeAlias = Literal["slip", "compress less", "stop"]
"""What happens when the disk cannot keep up."""

N_THREADS: Final = 4
"""Some compress while the others wait for the device."""
HOLD_S: Final = 1.0
"""Longest time that pixels wait for the decision on their frame."""
BUSY, CALM = 0.5, 0.25
"""Parts of the bound: above the first stacks are compressed less, below the other
fully again; what waits for a decision waits only while the queue is below the first."""


@dataclass(frozen=True, slots=True)
class WritingPolicy:
    """How much may wait to be written, and what happens when more comes.

    Attributes
    ----------
    max_bytes
        Bytes that may be queued.
    when_slow
        ``"slip"``: whoever brings more waits, so the schedule slips. ``"compress
        less"``: from half of the bytes on stacks are stored uncompressed, then it
        slips. ``"stop"``: the run ends, dark, and everything queued is written.
    """

    max_bytes: int = 512_000_000
    when_slow: WhenSlow = "slip"


@dataclass(frozen=True, slots=True, eq=False)
class WritingJob:
    """Something to write.

    Attributes
    ----------
    n_bytes
        What it holds in memory.
    work
        Writes it; may raise.
    lane
        Jobs of one lane run one after the other, in the order they came; None runs
        beside everything.
    ready
        None, or returns whether it may be begun; asked for at most `HOLD_S`, whenever
        something is queued or written, and at `WriterThreads.look_again`.
    after
        Lanes of which it waits for all that was announced.
    part_of
        None, or a lane in which it counts as announced until it is done.
    """

    n_bytes: int
    work: Callable[[], None]
    lane: Hashable = None
    ready: Callable[[], bool] | None = None
    after: tuple[Hashable, ...] = ()
    part_of: Hashable = None


@dataclass(frozen=True, slots=True)
class WritingEvents:
    """Whom the threads tell; any of their threads, or that of `WriterThreads.put`.

    Attributes
    ----------
    failed
        With the error of a job that failed.
    behind
        With the bytes queued, when the bound is reached.
    caught_up
        With the seconds that somebody waited for room.
    compress_less
        With True when stacks should cost less, False when they need no longer.
    """

    failed: Callable[[Exception], None]
    behind: Callable[[int], None] = lambda _: None
    caught_up: Callable[[float], None] = lambda _: None
    compress_less: Callable[[bool], None] = lambda _: None


class WriterThreads:
    """Runs writing jobs on threads of its own, in order per lane.

    The loop never waits for the disk until the bound of the policy is reached. A job
    that fails is told, and the following jobs are still tried.

    Parameters
    ----------
    events
        Whom to tell.
    policy
        How much may be queued, and what then.
    """

    def __init__(
        self, events: WritingEvents, policy: WritingPolicy | None = None
    ) -> None:
        self._events, self._policy = events, policy or WritingPolicy()
        self._changed, self._adapting = threading.Condition(), threading.Lock()
        self._jobs: deque[tuple[float, WritingJob]] = deque()
        self._lanes: set[Hashable] = set()
        self._announced: Counter[Hashable] = Counter()
        self._parts: Counter[Hashable] = Counter()
        self._queued_bytes = 0
        self._closed, self._blocks, self._less = False, True, False
        self._threads = [
            threading.Thread(target=self._work, name=f"faro-writer-{n}", daemon=True)
            for n in range(N_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait to be written, or are being written."""
        return self._queued_bytes

    def announce(self, lane: Hashable, n_jobs: int) -> None:
        """Say that so many jobs of ``lane`` will be put; others may wait for them."""
        with self._changed:
            self._announced[lane] += n_jobs

    def put(self, job: WritingJob) -> None:
        """Queue ``job``; where the bound is reached, what the policy says."""
        with self._changed:
            if taken := self._has_room(job):
                self._add(job)
        if not taken:
            self._add_late(job)
        if job.n_bytes:
            self._adapt()

    def look_again(self) -> None:
        """Begin what was not ready before and is now."""
        with self._changed:
            self._changed.notify_all()

    def stop_blocking(self) -> None:
        """Let `put` return at once from now on, and whoever waits in it too."""
        with self._changed:
            self._blocks = False
            self._changed.notify_all()

    def close(self, timeout_s: float) -> bool:
        """Write what is queued, then end; return False at the deadline."""
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _has_room(self, job: WritingJob) -> bool:
        """Return whether a job may be queued: there is room, or others wait for it."""
        queued, n_bytes = self._queued_bytes, job.n_bytes
        full = n_bytes and queued and queued + n_bytes > self._policy.max_bytes
        if not (self._blocks and full):
            return True
        awaited = job.lane in self._announced
        return awaited and any(job.lane in other.after for _, other in self._jobs)

    def _add(self, job: WritingJob) -> None:
        self._queued_bytes += job.n_bytes
        if job.part_of is not None:
            self._parts[job.part_of] += 1
        self._jobs.append((time.monotonic() + HOLD_S, job))
        self._changed.notify_all()

    def _add_late(self, job: WritingJob) -> None:
        """Wait for room, or have the run stopped, as the policy says; then queue."""
        queued, since_s = self._queued_bytes, time.monotonic()
        self._events.behind(queued)
        if self._policy.when_slow == "stop":
            self.stop_blocking()
            problem = f"The disk is too slow: {queued / 1e6:.0f} MB wait to be written."
            remedy = "Use a faster disk, image less often, or let the schedule slip."
            self._events.failed(StorageError(problem, remedy=remedy))
        else:
            logger.warning(
                "Writing is behind by %.0f MB; the schedule slips.", queued / 1e6
            )
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(job))
            self._add(job)
        self._events.caught_up(time.monotonic() - since_s)

    def _adapt(self) -> None:
        """Tell when stacks should cost less, and when no longer."""
        if self._policy.when_slow != "compress less":
            return
        with self._adapting:
            part = self._queued_bytes / self._policy.max_bytes
            less = part > BUSY or (self._less and part > CALM)
            if less != self._less:
                self._less = less
                logger.warning("Stacks are compressed %s.", "less" if less else "again")
                self._events.compress_less(less)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job.work()
            except Exception as error:
                logger.exception("Writing failed.")
                self._events.failed(error)
            finally:
                with self._changed:
                    self._lanes.discard(job.lane)
                    self._queued_bytes -= job.n_bytes
                    _count_down(self._announced, job.lane)
                    _count_down(self._parts, job.part_of)
                    self._changed.notify_all()
            if job.n_bytes:
                self._adapt()

    def _next(self) -> WritingJob | None:
        """Return the next job when it may begin, None at the end."""
        with self._changed:
            while True:
                job, held_until_s = self._choose()
                if job is not None:
                    if job.lane is not None:
                        self._lanes.add(job.lane)
                    return job
                if self._closed and not self._jobs:
                    return None
                wait_s = held_until_s - time.monotonic()
                self._changed.wait(None if wait_s == math.inf else max(0.0, wait_s))

    def _waits(self, job: WritingJob) -> bool:
        """Return whether what ``job`` comes after is not written yet.

        At the end what was announced and never put is waited for no longer.
        """
        if any(lane in self._parts for lane in job.after):
            return True
        due = [lane for lane in job.after if lane in self._announced]
        if not due or not self._closed:
            return bool(due)
        coming = {*self._lanes, *(other.lane for _, other in self._jobs)}
        return any(lane in coming for lane in due)

    def _choose(self) -> tuple[WritingJob | None, float]:
        """Take the first job that may begin; tell until when one waits at most."""
        passed, held_until_s = set(self._lanes), math.inf
        hurry = self._closed or self._queued_bytes > BUSY * self._policy.max_bytes
        for index, (hold_until_s, job) in enumerate(self._jobs):
            if job.lane in passed or self._waits(job):
                if job.lane is not None:
                    passed.add(job.lane)
                continue
            late = hurry or time.monotonic() >= hold_until_s
            if job.ready is None or late or job.ready():
                del self._jobs[index]
                return job, math.inf
            held_until_s = min(held_until_s, hold_until_s)
            if job.lane is not None:
                passed.add(job.lane)
        return None, held_until_s


def _count_down(counted: Counter[Hashable], lane: Hashable) -> None:
    """Take one off a lane; what is at nothing goes."""
    if lane in counted:
        counted[lane] -= 1
        if counted[lane] <= 0:
            del counted[lane]
