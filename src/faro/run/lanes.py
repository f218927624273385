"""Order per FOV without waiting: free work in parallel, ordered work in a chain."""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.run.workers import Workers

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Done = TypeVar("Done")


@dataclass(slots=True)
class _Ticket(Generic[Item, Done]):
    """One item on its way; ``result`` is set when its free work is done."""

    item: Item
    ready: bool = False
    result: Done = field(init=False)


@dataclass(slots=True)
class _Lane(Generic[Item, Done]):
    """The items of one FOV, oldest first; ``busy`` while someone works the chain."""

    tickets: deque[_Ticket[Item, Done]] = field(default_factory=deque)
    busy: bool = False


class Lanes(Generic[Item, Done]):
    """Runs ``free`` of every item in parallel and ``ordered`` in order per FOV.

    Whoever finishes the free work of an item carries on with the chain of its FOV as
    far as it is ready, so no thread ever waits for a predecessor and FOVs do not wait
    for each other. The number of items in flight is bounded: `submit` blocks.

    Parameters
    ----------
    workers
        Threads that do the work.
    free, ordered
        ``free(item) -> result`` and ``ordered(item, result)``; neither may raise.
    max_in_flight
        Items between `submit` and the end of their ordered work.
    """

    def __init__(
        self,
        workers: Workers,
        free: Callable[[Item], Done],
        ordered: Callable[[Item, Done], None],
        max_in_flight: int = 64,
    ) -> None:
        self._workers, self._free, self._ordered = workers, free, ordered
        self._lanes: dict[int, _Lane[Item, Done]] = {}
        self._changed = threading.Condition()
        self._in_flight, self._max_in_flight = 0, max_in_flight
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Items that are not done yet."""
        return self._in_flight

    def submit(self, fov: int, item: Item) -> bool:
        """Take ``item``; blocks while too many are in flight.

        Returns whether it had to block.
        """
        ticket: _Ticket[Item, Done] = _Ticket(item)
        with self._changed:
            full = self._in_flight >= self._max_in_flight
            self._changed.wait_for(
                lambda: self._closed or self._in_flight < self._max_in_flight
            )
            self._in_flight += 1
            self._lanes.setdefault(fov, _Lane()).tickets.append(ticket)
        self._workers.submit(lambda: self._run(fov, ticket))
        return full

    def drain(self, timeout_s: float) -> bool:
        """Wait until nothing is in flight; return False at the deadline."""
        with self._changed:
            return self._changed.wait_for(lambda: self._in_flight == 0, timeout_s)

    def close(self) -> None:
        """Stop blocking in `submit`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self, fov: int, ticket: _Ticket[Item, Done]) -> None:
        result = self._free(ticket.item)
        with self._changed:
            ticket.result, ticket.ready = result, True
            lane = self._lanes[fov]
            if lane.busy:
                return
            lane.busy = True
        self._follow(lane)

    def _follow(self, lane: _Lane[Item, Done]) -> None:
        """Do the ordered work of a lane as far as it is ready."""
        while True:
            with self._changed:
                if not (lane.tickets and lane.tickets[0].ready):
                    lane.busy = False
                    return
                ticket = lane.tickets.popleft()
            try:
                self._ordered(ticket.item, ticket.result)
            except Exception:
                logger.exception("A step in order failed; its FOV goes on.")
            finally:
                with self._changed:
                    self._in_flight -= 1
                    self._changed.notify_all()
