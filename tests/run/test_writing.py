"""The writer: order kept, failures told, bounded in bytes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from faro.run.writing import WriterThread

if TYPE_CHECKING:
    import pytest


def test_jobs_run_in_order_and_are_all_done_at_close() -> None:
    failures: list[Exception] = []
    writer, done = WriterThread(failures.append), []
    for number in range(100):
        writer.put(10, lambda number=number: done.append(number))  # type: ignore[misc]
    assert writer.close(30.0)
    assert done == list(range(100))
    assert failures == []


def test_a_job_that_fails_is_told_and_the_next_is_still_tried(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures: list[Exception] = []
    writer, done = WriterThread(failures.append), []

    def fail() -> None:
        message = "disk full"
        raise OSError(message)

    writer.put(1, fail)
    writer.put(1, lambda: done.append("next"))
    assert writer.close(30.0)
    assert [str(error) for error in failures] == ["disk full"]
    assert done == ["next"]
    assert "disk full" in caplog.text


def test_a_full_queue_blocks_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()
    writer = WriterThread(lambda _: None, max_bytes=100)

    def wait() -> None:
        gate.wait(60.0)

    writer.put(80, wait)
    blocked = threading.Thread(target=lambda: writer.put(50, lambda: None))
    blocked.start()
    while writer.n_blocked == 0:
        blocked.join(0.001)
    assert blocked.is_alive()
    gate.set()
    blocked.join(30.0)
    assert writer.close(30.0)
    assert "the schedule slips" in caplog.text


def test_one_job_larger_than_the_bound_still_goes_through() -> None:
    writer, done = WriterThread(lambda _: None, max_bytes=10), []
    writer.put(1000, lambda: done.append(1))
    assert writer.close(30.0)
    assert done == [1]


def test_nobody_waits_for_the_disk_when_the_run_is_stopped() -> None:
    gate, done = threading.Event(), []
    writer = WriterThread(lambda _: None, max_bytes=100)

    def wait() -> None:
        gate.wait(60.0)

    writer.put(80, wait)
    blocked = threading.Thread(
        target=lambda: writer.put(50, lambda: done.append("written"))
    )
    blocked.start()
    writer.stop_blocking()
    blocked.join(30.0)
    assert not blocked.is_alive()
    gate.set()
    assert writer.close(30.0)
    assert done == ["written"]
