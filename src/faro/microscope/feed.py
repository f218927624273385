"""An iterator of events that can always be ended, however it blocks."""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


class Feed(Generic[T]):
    """Hands on the items of ``source`` one by one, until it ends or is closed.

    An item is asked for only when the one before it is done. A source with a
    ``close()`` of its own (not a generator) is asked directly, and woken by that
    ``close()``. Any other source is asked on a daemon thread, so that one which
    blocks for ever cannot hold the run: after `close`, the waiting side leaves at
    once, and what the source may still give is dropped.

    Parameters
    ----------
    source
        The iterator. Used by one thread at a time.
    """

    def __init__(self, source: Iterator[T]) -> None:
        self._source = source
        wakeable = callable(getattr(source, "close", None))
        self._direct = wakeable and not inspect.isgenerator(source)
        self._state = threading.Condition()
        self._closed = False
        self._asked = False
        self._items: list[T] = []
        self._ended: BaseException | None = None
        if not self._direct:
            threading.Thread(target=self._pull, name="faro-feed", daemon=True).start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._closed:
            raise StopIteration
        if self._direct:
            item = next(self._source)
            if self._closed:
                raise StopIteration
            return item
        return self._next_from_thread()

    def _next_from_thread(self) -> T:
        with self._state:
            self._asked = True
            self._state.notify_all()
            self._state.wait_for(
                lambda: self._items or self._ended is not None or self._closed
            )
            if self._closed:
                raise StopIteration
            if self._ended is not None:
                raise self._ended
            return self._items.pop()

    def _pull(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._asked or self._closed)
                if self._closed:
                    return
                self._asked = False
            try:
                item = next(self._source)
            except BaseException as error:  # noqa: BLE001  raised where it was asked
                with self._state:
                    self._ended = error
                    self._state.notify_all()
                return
            with self._state:
                self._items.append(item)
                self._state.notify_all()

    def close(self) -> None:
        """End the iteration now. Any thread, any number of times."""
        with self._state:
            first, self._closed = not self._closed, True
            self._state.notify_all()
        close = getattr(self._source, "close", None)
        if first and self._direct and callable(close):
            close()
