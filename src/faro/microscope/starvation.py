"""No light is left on while a run waits for its next event."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faro.microscope.feed import Feed

logger = logging.getLogger(__name__)

T = TypeVar("T")

LOOKS = 5


class StarvationWatch(Generic[T]):
    """Hands on the items of ``items``; goes dark while it waits too long for one.

    The light is given back before the item that ends the wait is handed on. What the
    light does meanwhile is never done while an item is being worked on.

    Who makes the sample dark meanwhile says so by `darkened`.

    Parameters
    ----------
    items
        The events of a run; closed with this.
    limit_s
        How long to wait with the light as it is.
    go_dark
        Makes the sample dark; called on a thread of the watch.
    lift
        Gives the light back; called on the thread that iterates.
    """

    def __init__(
        self,
        items: Feed[T],
        limit_s: float,
        go_dark: Callable[[str], object],
        lift: Callable[[], object],
    ) -> None:
        self._items, self._limit_s = items, limit_s
        self._go_dark, self._lift = go_dark, lift
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._asked_s: float | None = None
        self._dark = False
        threading.Thread(target=self._watch, name="faro-starved", daemon=True).start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        self._asked_s = time.perf_counter()
        try:
            item = next(self._items)
        finally:
            with self._turn:
                self._asked_s = None
                was_dark, self._dark = self._dark, False
        if was_dark:
            self._lift()
        return item

    def darkened(self) -> None:
        """Note that somebody else made the sample dark; any thread.

        While an event is waited for, the light is given back before it; else what is
        dark stays dark.
        """
        if self._asked_s is not None:
            self._dark = True

    def close(self) -> None:
        """End the iteration now, and stop watching. Any thread, any number of times."""
        self._over.set()
        self._items.close()

    def _watch(self) -> None:
        while not self._over.wait(self._limit_s / LOOKS):
            with self._turn:
                asked_s = self._asked_s
                if asked_s is None or self._dark:
                    continue
                if time.perf_counter() - asked_s > self._limit_s:
                    self._dark = True
                    self._go_dark(f"no event for {self._limit_s:g} s")
