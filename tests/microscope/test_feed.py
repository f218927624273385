"""An iterator that can always be ended."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.microscope.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Iterator


@given(st.lists(st.none() | st.integers()))
def test_every_item_comes_in_order(items: list[int | None]) -> None:
    feed = Feed(iter(items))
    assert list(feed) == items
    feed.close()


def test_an_error_of_the_source_is_raised_where_it_is_asked() -> None:
    def source() -> Iterator[int]:
        yield 1
        message = "no plan"
        raise ZeroDivisionError(message)

    feed = Feed(source())
    assert next(feed) == 1
    with pytest.raises(ZeroDivisionError, match="no plan"):
        next(feed)
    feed.close()


def test_a_blocked_source_is_left_behind() -> None:
    never = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        never.wait(20)
        yield 2

    feed = Feed(source())
    assert next(feed) == 1
    left: list[int] = []
    waiting = threading.Thread(target=lambda: left.extend(feed))
    waiting.start()
    feed.close()
    waiting.join(10)
    assert not waiting.is_alive()
    never.set()
    assert not left
    assert list(feed) == []


def test_a_source_with_a_close_is_asked_on_our_own_thread() -> None:
    class Source:
        def __init__(self) -> None:
            self.threads: list[threading.Thread] = []
            self.closed = 0

        def __iter__(self) -> Source:
            return self

        def __next__(self) -> int:
            self.threads.append(threading.current_thread())
            return len(self.threads)

        def close(self) -> None:
            self.closed += 1

    source = Source()
    feed = Feed(source)
    assert [next(feed), next(feed)] == [1, 2]
    assert set(source.threads) == {threading.current_thread()}
    feed.close()
    feed.close()
    assert source.closed == 1
    assert list(feed) == []
