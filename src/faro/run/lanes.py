"""Order per FOV without waiting: free work in parallel, ordered work in a chain."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from faro.run.watches import Watches

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.run.workers import Workers

logger = logging.getLogger(__name__)

_STUCK_S, _STUCK_STEPS = 1.0, 5.0
_NEWEST_WEIGHT = 0.1

Item = TypeVar("Item")
Done = TypeVar("Done")


class Taken(Enum):
    """What became of an item that was submitted.

    ``AT_ONCE``; ``WAITED``: after places had become free; ``REFUSED``: its FOV is far
    behind the others.
    """

    AT_ONCE = "at once"
    WAITED = "waited"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Work(Generic[Item, Done]):
    """What is done with every item; none of it may raise.

    Attributes
    ----------
    free
        ``free(item) -> result``, at any time on any worker.
    ordered
        ``ordered(item, result, claim)``, in order per FOV. It calls ``claim()`` before
        it does what cannot be taken back, and stops if that returns False.
    instead
        ``instead(item) -> result`` where ``free`` does not return in time.
    given_up
        ``given_up(item)``, told where ``ordered`` neither claimed nor returned in time.
    """

    free: Callable[[Item], Done]
    ordered: Callable[[Item, Done, Callable[[], bool]], None]
    instead: Callable[[Item], Done]
    given_up: Callable[[Item], None]


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """Places and deadlines.

    Attributes
    ----------
    max_in_flight
        Items between `Lanes.submit` and the end of their ordered work; more block.
    fov_share
        Share of these places that one FOV may hold where there are others. More of it
        block too, and are refused once that FOV is stuck: nothing of it was done for
        a second, and for five times as long as a step usually takes. So a FOV that
        hangs cannot block the rest.
    step_deadline_s
        How long the free or the ordered work of one item may take.
    """

    max_in_flight: int = 64
    fov_share: float = 0.75
    step_deadline_s: float = 60.0


@dataclass(slots=True, eq=False)
class _Ticket(Generic[Item, Done]):
    """One item on its way; ``result`` is set when its free work is done.

    It is either ``claimed`` by the worker that does its ordered work, or ``given_up``.
    """

    item: Item
    ready: bool = False
    result: Done = field(init=False)
    claimed: bool = False
    given_up: bool = False


@dataclass(slots=True, eq=False)
class _Lane(Generic[Item, Done]):
    """The items of one FOV, oldest first.

    ``n_free`` of them are in free work, those in ``waiting`` have not begun; ``busy``
    while someone works the chain. ``moved_s`` is when it last got on.
    """

    tickets: deque[_Ticket[Item, Done]] = field(default_factory=deque)
    waiting: deque[_Ticket[Item, Done]] = field(default_factory=deque)
    n_free: int = 0
    busy: bool = False
    moved_s: float = 0.0


class Lanes(Generic[Item, Done]):
    """Runs ``free`` of every item in parallel and ``ordered`` in order per FOV.

    Whoever finishes the free work of an item carries on with the chain of its FOV as
    far as it is ready, so no thread ever waits for a predecessor and FOVs do not wait
    for each other. One FOV never occupies all workers with free work. Work that does
    not return in time is given up together with its thread, which is replaced.

    Parameters
    ----------
    workers
        Threads that do the work.
    work
        What is done.
    limits
        Places and deadlines.
    """

    def __init__(
        self,
        workers: Workers,
        work: Work[Item, Done],
        limits: LaneLimits | None = None,
    ) -> None:
        self._workers, self._work = workers, work
        self._limits = limits or LaneLimits()
        self._lanes: dict[int, _Lane[Item, Done]] = {}
        self._changed = threading.Condition()
        self._watches = Watches()
        self._in_flight = 0
        self._usual_step_s = 0.0
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Items that are not done yet."""
        return self._in_flight

    def submit(self, fov: int, item: Item) -> Taken:
        """Take ``item``; blocks while too many are in flight."""
        ticket: _Ticket[Item, Done] = _Ticket(item)
        with self._changed:
            lane = self._lanes.setdefault(fov, _Lane())
            full = not self._has_room(lane)
            while not self._has_room(lane):
                stuck_in_s = None
                if self._over_share(lane):
                    stuck_in_s = self._stuck_in_s(lane)
                    if stuck_in_s <= 0:
                        return Taken.REFUSED
                self._changed.wait(stuck_in_s)
            if not lane.tickets:
                lane.moved_s = time.perf_counter()
            self._in_flight += 1
            lane.tickets.append(ticket)
            lane.waiting.append(ticket)
            self._begin_free(lane)
        return Taken.WAITED if full else Taken.AT_ONCE

    def _has_room(self, lane: _Lane[Item, Done]) -> bool:
        free = self._in_flight < self._limits.max_in_flight
        return self._closed or (free and not self._over_share(lane))

    def _over_share(self, lane: _Lane[Item, Done]) -> bool:
        share = max(self._limits.max_in_flight * self._limits.fov_share, 1)
        return len(self._lanes) > 1 and len(lane.tickets) >= share

    def _stuck_in_s(self, lane: _Lane[Item, Done]) -> float:
        """Return in how many seconds a lane counts as stuck if nothing happens."""
        patience_s = max(_STUCK_S, _STUCK_STEPS * self._usual_step_s)
        return lane.moved_s + patience_s - time.perf_counter()

    def drain(self, timeout_s: float) -> bool:
        """Wait until nothing is in flight; return False at the deadline."""
        with self._changed:
            return self._changed.wait_for(lambda: self._in_flight == 0, timeout_s)

    def close(self) -> None:
        """Give nothing up any more; after `drain`."""
        self.stop_blocking()
        self._watches.close()

    def stop_blocking(self) -> None:
        """Let `submit` return at once from now on, and whoever waits in it too."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _begin_free(self, lane: _Lane[Item, Done]) -> None:
        """Give the workers what this FOV may begin; the lock is held."""
        while lane.waiting and lane.n_free < max(self._workers.count - 1, 1):
            lane.n_free += 1
            ticket = lane.waiting.popleft()
            self._workers.submit(partial(self._run, lane, ticket))

    def _run(self, lane: _Lane[Item, Done], ticket: _Ticket[Item, Done]) -> None:
        """Do the free work of an item, then the chain as far as it is ready."""
        thread = threading.current_thread()

        def too_late() -> None:
            self._workers.give_up(thread)
            result = self._work.instead(ticket.item)
            self._workers.submit(partial(self._freed, lane, ticket, result))

        watch = self._watches.begin(self._limits.step_deadline_s, too_late)
        began_s = time.perf_counter()
        try:
            result = self._work.free(ticket.item)
        except Exception:
            logger.exception("A step failed that must not; its FOV goes on.")
            result = self._work.instead(ticket.item)
        took_s = time.perf_counter() - began_s
        if watch.end():
            self._usual_step_s += _NEWEST_WEIGHT * (took_s - self._usual_step_s)
            self._freed(lane, ticket, result)

    def _freed(
        self, lane: _Lane[Item, Done], ticket: _Ticket[Item, Done], result: Done
    ) -> None:
        with self._changed:
            ticket.result, ticket.ready = result, True
            lane.n_free -= 1
            lane.moved_s = time.perf_counter()
            self._begin_free(lane)
            if lane.busy:
                return
            lane.busy = True
        self._follow(lane)

    def _follow(self, lane: _Lane[Item, Done]) -> None:
        """Do the ordered work of a lane as far as it is ready."""
        thread = threading.current_thread()
        while (ticket := self._next(lane)) is not None:
            claim = partial(self._claim, ticket)
            too_late = partial(self._give_up, lane, ticket, thread)
            watch = self._watches.begin(self._limits.step_deadline_s, too_late)
            try:
                self._work.ordered(ticket.item, ticket.result, claim)
            except Exception:
                logger.exception("A step in order failed; its FOV goes on.")
            watch.end()
            if not claim():
                return
            self._done(lane)

    def _next(self, lane: _Lane[Item, Done]) -> _Ticket[Item, Done] | None:
        with self._changed:
            if lane.tickets and lane.tickets[0].ready:
                return lane.tickets.popleft()
            lane.busy = False
            return None

    def _claim(self, ticket: _Ticket[Item, Done]) -> bool:
        """Make an item its worker's for good; return False if it was given up."""
        with self._changed:
            ticket.claimed = not ticket.given_up
            return ticket.claimed

    def _give_up(
        self,
        lane: _Lane[Item, Done],
        ticket: _Ticket[Item, Done],
        thread: threading.Thread,
    ) -> None:
        """Let the chain of a FOV go on without the item that does not return."""
        with self._changed:
            if ticket.claimed:
                return
            ticket.given_up = True
        self._workers.give_up(thread)
        self._work.given_up(ticket.item)
        self._done(lane)
        self._workers.submit(partial(self._follow, lane))

    def _done(self, lane: _Lane[Item, Done]) -> None:
        with self._changed:
            self._in_flight -= 1
            lane.moved_s = time.perf_counter()
            self._changed.notify_all()
