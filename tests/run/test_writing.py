"""The writer threads: order kept per lane, failures told, bounded in bytes."""

from __future__ import annotations

import threading
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.run.writing import HOLD_S, WriterThreads, WritingEvents, WritingJob
from faro.run.writing import WritingPolicy as Policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.run.writing import WhenSlow


class Told:
    """What the threads told."""

    def __init__(self) -> None:
        self.failed: list[Exception] = []
        self.behind: list[int] = []
        self.caught_up: list[float] = []
        self.less: list[bool] = []

    @property
    def events(self) -> WritingEvents:
        return WritingEvents(
            self.failed.append,
            self.behind.append,
            self.caught_up.append,
            self.less.append,
        )


@pytest.fixture
def told() -> Told:
    return Told()


def job(n_bytes: int, work: Callable[[], Any], lane: object = None) -> WritingJob:
    return WritingJob(n_bytes, work, lane)


@settings(deadline=None, max_examples=25)
@given(lanes=st.lists(st.integers(0, 3), max_size=40))
def test_every_job_runs_once_and_each_lane_keeps_its_order(lanes: list[int]) -> None:
    told, done, numbers = Told(), [], count()
    busy: set[int] = set()

    def work(lane: int, number: int) -> None:
        assert lane not in busy
        busy.add(lane)
        time.sleep(0.0002)
        done.append((lane, number))
        busy.remove(lane)

    writer = WriterThreads(told.events)
    put = [(lane, next(numbers)) for lane in lanes]
    for lane, number in put:
        writer.put(job(10, lambda a=lane, b=number: work(a, b), lane))  # type: ignore[misc]
    assert writer.close(30.0)
    assert told.failed == []
    assert sorted(done) == sorted(put)
    for lane in set(lanes):
        assert [n for a, n in done if a == lane] == [n for a, n in put if a == lane]


def test_a_slow_job_keeps_no_other_lane_waiting(told: Told) -> None:
    writer, gate, done = WriterThreads(told.events), threading.Event(), []
    writer.put(job(1, lambda: gate.wait(60.0), "slow"))
    writer.put(job(1, lambda: done.append("slow"), "slow"))
    writer.put(job(1, lambda: done.append("fast"), "fast"))
    writer.put(job(1, gate.set, "fast"))
    assert writer.close(30.0)
    assert done == ["fast", "slow"]


def test_a_job_that_fails_is_told_and_the_next_is_still_tried(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    writer, done = WriterThreads(told.events), []

    def fail() -> None:
        message = "disk full"
        raise OSError(message)

    writer.put(job(1, fail, "a"))
    writer.put(job(1, lambda: done.append("next"), "a"))
    assert writer.close(30.0)
    assert [str(error) for error in told.failed] == ["disk full"]
    assert done == ["next"]
    assert "disk full" in caplog.text


def full(told: Told, when_slow: WhenSlow) -> tuple[WriterThreads, threading.Event]:
    """Return writer threads whose queue of 100 bytes holds 80."""
    gate = threading.Event()
    writer = WriterThreads(told.events, Policy(100, when_slow))
    writer.put(job(80, lambda: gate.wait(60.0)))
    return writer, gate


def test_by_default_a_full_queue_lets_the_schedule_slip_and_says_so(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    writer, gate = full(told, "slip")
    blocked = threading.Thread(target=lambda: writer.put(job(50, lambda: None)))
    blocked.start()
    while not told.behind:
        blocked.join(0.001)
    assert blocked.is_alive()
    gate.set()
    blocked.join(30.0)
    assert writer.close(30.0)
    assert told.behind == [80]
    assert len(told.caught_up) == 1
    assert "the schedule slips" in caplog.text
    assert writer.queued_bytes == 0


def test_a_run_that_is_to_stop_is_told_why_and_all_is_still_written(told: Told) -> None:
    (writer, gate), done = full(told, "stop"), []
    for number in range(3):
        writer.put(job(50, lambda number=number: done.append(number), "a"))  # type: ignore[misc]
    gate.set()
    assert writer.close(30.0)
    assert done == [0, 1, 2]
    assert "disk is too slow: 0 MB wait" in str(told.failed[0])
    assert "let the schedule slip" in str(told.failed[0])
    assert len(told.failed) == 1


def test_less_is_compressed_above_half_and_again_when_calm(told: Told) -> None:
    writer, gate = full(told, "compress less")
    assert told.less == [True]
    writer.put(job(10, lambda: None))
    gate.set()
    assert writer.close(30.0)
    assert told.less == [True, False]
    assert told.behind == []


def test_what_holds_no_bytes_never_waits(told: Told) -> None:
    (writer, gate), done = full(told, "slip"), []
    writer.put(job(20, lambda: done.append(20)))
    writer.put(job(0, lambda: done.append(0)))
    gate.set()
    assert writer.close(30.0)
    assert done == [20, 0]


def test_one_job_larger_than_the_bound_still_goes_through(told: Told) -> None:
    writer, done = WriterThreads(told.events, Policy(10)), []
    writer.put(job(1000, lambda: done.append(1)))
    assert writer.close(30.0)
    assert done == [1]


def test_nobody_waits_for_the_disk_when_the_run_is_stopped(told: Told) -> None:
    (writer, gate), done = full(told, "slip"), []
    blocked = threading.Thread(
        target=lambda: writer.put(job(50, lambda: done.append("written")))
    )
    blocked.start()
    writer.stop_blocking()
    blocked.join(30.0)
    assert not blocked.is_alive()
    gate.set()
    assert writer.close(30.0)
    assert done == ["written"]


def test_pixels_wait_for_the_mask_and_let_others_pass(told: Told) -> None:
    writer, decided, done = WriterThreads(told.events), threading.Event(), []
    passed = threading.Event()
    writer.put(WritingJob(1, lambda: done.append("pixels"), "a", decided.is_set))
    writer.put(WritingJob(1, lambda: done.append("labels of it"), "a"))
    writer.put(job(1, lambda: done.append("table"), "b"))
    writer.put(job(1, passed.set, "b"))
    assert passed.wait(30.0)
    assert done == ["table"]
    decided.set()
    assert writer.close(30.0)
    assert done == ["table", "pixels", "labels of it"]


def test_pixels_are_written_as_soon_as_the_mask_is_said_to_be_there(
    told: Told,
) -> None:
    writer, decided, done = WriterThreads(told.events), threading.Event(), []
    writer.put(
        WritingJob(1, lambda: done.append(time.monotonic()), "a", decided.is_set)
    )
    decided_s = time.monotonic()
    decided.set()
    writer.look_again()
    while not done:
        time.sleep(0.001)
    assert done[0] - decided_s < HOLD_S
    assert writer.close(30.0)


@pytest.mark.parametrize("n_bytes", [60, 1])
def test_pixels_do_not_wait_when_the_queue_is_full_or_too_long(
    told: Told, n_bytes: int
) -> None:
    writer, done = WriterThreads(told.events, Policy(100)), threading.Event()
    started_s = time.monotonic()
    writer.put(WritingJob(n_bytes, done.set, "a", lambda: False))
    assert done.wait(30.0)
    if n_bytes == 1:
        assert time.monotonic() - started_s >= HOLD_S
    assert writer.close(30.0)


def test_what_is_made_of_a_frame_waits_for_its_pixels(told: Told) -> None:
    threads, done = WriterThreads(told.events), []
    threads.announce("frame 3", 2)
    threads.put(WritingJob(5, lambda: done.append("rows"), "rows", after=("frame 3",)))
    threads.put(WritingJob(5, lambda: done.append("rows of 4"), "rows"))
    threads.put(job(5, lambda: done.append("other"), "labels"))
    threads.put(job(9, lambda: done.append("pixels 0"), "frame 3"))
    threads.put(job(9, lambda: done.append("pixels 1"), "frame 3"))
    assert threads.close(5.0)
    assert done.index("pixels 1") < done.index("rows") < done.index("rows of 4")
    assert done.index("other") < done.index("rows")


def test_pixels_that_others_wait_for_go_into_a_full_queue(told: Told) -> None:
    threads, done = WriterThreads(told.events, Policy(max_bytes=10)), []
    threads.announce("frame", 1)
    threads.put(WritingJob(10, lambda: done.append("rows"), "rows", after=("frame",)))
    threads.put(job(10, lambda: done.append("pixels"), "frame"))
    assert threads.close(5.0)
    assert done == ["pixels", "rows"]


def test_pixels_that_never_come_are_not_waited_for_at_the_end(told: Told) -> None:
    threads, done = WriterThreads(told.events), []
    threads.announce("frame", 1)
    threads.put(WritingJob(5, lambda: done.append("rows"), "rows", after=("frame",)))
    assert threads.close(5.0)
    assert done == ["rows"]


def test_a_state_waits_for_all_parts_of_its_frame(told: Told) -> None:
    threads, done = WriterThreads(told.events), []
    gate = threading.Event()

    def slow() -> None:
        gate.wait(5.0)
        done.append("labels")

    threads.put(WritingJob(5, slow, "labels", part_of="frame"))
    threads.put(WritingJob(0, lambda: done.append("state"), "s", after=("frame",)))
    threads.put(job(5, gate.set))
    assert threads.close(5.0)
    assert done == ["labels", "state"]
