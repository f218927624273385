"""Listeners: told from a thread of their own; what they do cannot hurt."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from faro.run import notices as room
from faro.run.notices import MAX_WAITING, Notices

if TYPE_CHECKING:
    import pytest


def test_a_listener_that_raises_is_counted_and_the_others_hear(
    caplog: pytest.LogCaptureFixture,
) -> None:
    notices = Notices()
    heard: list[str] = []

    def bad(reason: str) -> None:
        raise ZeroDivisionError(reason)

    notices.finished.connect(bad)
    notices.tell(notices.finished.emit, "one")
    assert notices.flush(30.0)
    assert notices.listener_failures == 1
    assert "ZeroDivisionError" in caplog.text
    notices.finished.disconnect(bad)
    notices.finished.connect(heard.append)
    notices.tell(notices.finished.emit, "two")
    assert notices.flush(30.0)
    assert heard == ["two"]


def test_listeners_run_on_a_thread_of_their_own() -> None:
    notices = Notices()
    names: list[str] = []
    notices.finished.connect(lambda _: names.append(threading.current_thread().name))
    notices.tell(notices.finished.emit, "done")
    assert notices.flush(30.0)
    assert names == ["faro-notices"]


def test_a_listener_that_blocks_costs_notices_not_the_run() -> None:
    notices, gate = Notices(), threading.Event()
    notices.finished.connect(lambda _: gate.wait(60.0))
    for _ in range(MAX_WAITING + 100):
        notices.tell(notices.finished.emit, "again")
    assert notices.dropped >= 99
    assert not notices.flush(0.0)
    gate.set()
    assert notices.flush(60.0)


def test_no_thread_is_left_where_there_is_nothing_to_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "IDLE_S", 0.01)
    notices, threads = Notices(), []
    notices.finished.connect(lambda _: threads.append(threading.current_thread()))
    for n in (1, 2):
        notices.tell(notices.finished.emit, "done")
        assert notices.flush(30.0)
        assert len(threads) == n
        threads[-1].join(30.0)
        assert not threads[-1].is_alive()
