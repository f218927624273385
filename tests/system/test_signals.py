"""Signals are taken by name, given back, and end a process when nobody takes them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from faro.system import signals

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_is_taken_and_given_back() -> None:
    got: list[int] = []
    assert signals.untaken(["SIGTERM"]) == [signals.TERMINATE]
    kept = signals.take(signals.TERMINATE, got.append)
    assert signals.untaken(["SIGTERM"]) == []
    signal.raise_signal(signal.SIGTERM)
    assert got == [signals.TERMINATE]
    assert signals.is_taken_by(signals.TERMINATE, kept)
    signals.give_back(signals.TERMINATE)
    assert signals.untaken(["SIGTERM"]) == [signals.TERMINATE]
    assert not signals.is_taken_by(signals.TERMINATE, kept)


def test_what_somebody_else_took_meanwhile_is_not_ours() -> None:
    kept = signals.take(signals.TERMINATE, lambda _: None)
    signals.take(signals.TERMINATE, lambda _: None)
    assert not signals.is_taken_by(signals.TERMINATE, kept)


def test_an_ignored_signal_does_nothing_and_an_interrupt_comes_back() -> None:
    signals.ignore(signals.INTERRUPT)
    signal.raise_signal(signal.SIGINT)
    signals.interrupt_as_usual()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_on_another_thread_nothing_can_be_taken_or_given_back() -> None:
    seen: list[bool] = []

    def look() -> None:
        seen.append(signals.can_take())
        signals.give_back(signals.TERMINATE)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [False]
    assert signals.can_take()


def test_a_process_ends_by_a_signal_as_if_nobody_had_taken_it() -> None:
    code = (
        "from faro.system import signals as s; s.take(s.TERMINATE, print);"
        " s.end_by(s.TERMINATE); print('still here')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False
    )
    assert done.stdout == b""
    assert done.returncode == (3 if sys.platform == "win32" else -signals.TERMINATE)
