"""Ctrl-C while something is done that must be done to its end."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from faro.microscope.shield import shielded
from faro.testing.devices import DiaryMicroscope
from faro.testing.posix import press_ctrl_c


def interrupt_main(times: int) -> None:
    for _ in range(times):
        time.sleep(0.05)
        press_ctrl_c()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals")
def test_ctrl_c_is_raised_when_it_is_done_not_before() -> None:
    steps: list[str] = []

    def slow() -> None:
        time.sleep(0.4)
        steps.append("done")

    presser = threading.Thread(target=interrupt_main, args=(3,))
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        shielded(slow)
    assert steps == ["done"]
    presser.join(10)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals")
def test_ctrl_c_during_a_shutdown_keeps_no_device() -> None:
    scope = DiaryMicroscope()
    scope.session.on_release("slow", lambda: time.sleep(0.4))
    presser = threading.Thread(target=interrupt_main, args=(2,))
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        scope.shutdown()
    assert "release DMD" in scope.diary.lines
    assert scope.shutdown().ok
    presser.join(10)


def test_on_other_threads_it_is_simply_done() -> None:
    names: list[str] = []
    thread = threading.Thread(
        target=shielded,
        args=(lambda: names.append(threading.current_thread().name),),
        name="mine",
    )
    thread.start()
    thread.join(10)
    assert names == ["mine"]
