"""Order per FOV: whoever works, however long it takes, whatever fails."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.run.lanes import LaneLimits, Lanes, Taken, Work
from faro.run.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

Item = tuple[int, int, float]
Claim: TypeAlias = "Callable[[], bool]"


def work_of(
    free: Callable[[Item], Any] = lambda _: None,
    ordered: Callable[[Item, Any, Claim], Any] = lambda *_: None,
    instead: Callable[[Item], Any] = lambda _: "instead",
    given_up: Callable[[Item], Any] = lambda _: None,
) -> Work[Item, Any]:
    return Work(free, ordered, instead, given_up)


@settings(max_examples=40)
@given(
    items=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.0, 0.001, 0.004])),
        max_size=40,
    ),
    n_workers=st.integers(1, 5),
)
def test_each_fov_keeps_its_order_and_loses_nothing(
    items: list[tuple[int, float]], n_workers: int
) -> None:
    workers = Workers(n_workers)
    done: list[tuple[int, int]] = []

    def free(item: Item) -> float:
        time.sleep(item[2])
        return item[2]

    lanes = Lanes(workers, work_of(free, lambda item, *_: done.append(item[:2])))
    for number, (fov, pause_s) in enumerate(items):
        lanes.submit(fov, (fov, number, pause_s))
    assert lanes.drain(30.0)
    lanes.close()
    workers.close()
    for fov in range(4):
        expected = [(f, n) for n, (f, _) in enumerate(items) if f == fov]
        assert [entry for entry in done if entry[0] == fov] == expected


def test_a_fov_that_hangs_does_not_hold_up_the_others() -> None:
    workers = Workers(2)
    gate, done = threading.Event(), []

    def free(item: Item) -> None:
        if item[0] == 0:
            gate.wait(60.0)

    lanes = Lanes(workers, work_of(free, lambda item, *_: done.append(item)))
    lanes.submit(0, (0, 0, 0.0))
    others = [(1, n, 0.0) for n in range(50)]
    for item in others:
        lanes.submit(1, item)
    while len(done) < len(others):
        time.sleep(0.001)
    assert done == others
    gate.set()
    assert lanes.drain(30.0)
    workers.close()


@pytest.mark.parametrize("failing", ["first", "middle"])
def test_a_step_that_raises_costs_its_successors_nothing(
    failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    workers = Workers(2)
    bad = 0 if failing == "first" else 5
    done: list[int] = []

    def ordered(item: Item, _result: None, _claim: Claim) -> None:
        if item[1] == bad:
            message = "rubbish"
            raise ValueError(message)
        done.append(item[1])

    lanes = Lanes(workers, work_of(ordered=ordered))
    for number in range(10):
        lanes.submit(0, (0, number, 0.0))
    assert lanes.drain(30.0)
    workers.close()
    assert done == [n for n in range(10) if n != bad]
    assert "rubbish" in caplog.text


def test_submit_blocks_while_too_much_is_in_flight_and_says_so() -> None:
    workers, gate = Workers(1), threading.Event()
    lanes = Lanes(
        workers, work_of(lambda _: gate.wait(60.0)), LaneLimits(max_in_flight=2)
    )
    assert lanes.submit(0, (0, 0, 0.0)) is Taken.AT_ONCE
    assert lanes.submit(0, (0, 1, 0.0)) is Taken.AT_ONCE
    blocked: list[Taken] = []
    third = threading.Thread(
        target=lambda: blocked.append(lanes.submit(0, (0, 2, 0.0)))
    )
    third.start()
    assert lanes.in_flight == 2
    gate.set()
    third.join(30.0)
    assert lanes.drain(30.0)
    workers.close()
    assert blocked == [Taken.WAITED]


def test_a_burst_of_a_fov_that_does_not_hang_blocks_and_loses_nothing() -> None:
    workers, done = Workers(2), []
    work = work_of(lambda _: time.sleep(0.001), lambda item, *_: done.append(item))
    lanes = Lanes(workers, work, LaneLimits(max_in_flight=8, fov_share=0.5))
    lanes.submit(1, (1, 0, 0.0))
    taken = {lanes.submit(0, (0, n, 0.0)) for n in range(100)}
    assert lanes.drain(30.0)
    assert Taken.REFUSED not in taken
    assert len(done) == 101
    lanes.close()
    workers.close()


def test_a_fov_that_hangs_is_refused_more_places_and_the_others_are_not() -> None:
    workers, gate = Workers(2), threading.Event()

    def free(item: Item) -> None:
        if item[0] == 0:
            gate.wait(60.0)

    lanes = Lanes(workers, work_of(free), LaneLimits(max_in_flight=8, fov_share=0.5))
    lanes.submit(1, (1, 0, 0.0))
    taken = [lanes.submit(0, (0, n, 0.0)) for n in range(6)]
    assert taken == [Taken.AT_ONCE] * 4 + [Taken.REFUSED] * 2
    assert lanes.in_flight <= 5
    for number in range(1, 40):
        assert lanes.submit(1, (1, number, 0.0)) is not Taken.REFUSED
    gate.set()
    assert lanes.drain(30.0)
    workers.close()


class Troubled:
    """Items (fov, number, trouble): "free hangs", "raises", ...; remembers all."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.done: list[tuple[int, int]] = []
        self.results: list[Any] = []
        self.lost: list[tuple[int, int]] = []
        self.back = threading.Semaphore(0)
        self.work: Work[Any, Any] = Work(
            self.free, self.ordered, lambda _: "instead", self.lose
        )

    def trouble(self, kind: str, prefix: str) -> None:
        if kind == f"{prefix}raises":
            raise ZeroDivisionError
        if kind == f"{prefix}hangs":
            self.gate.wait(60.0)
            self.back.release()

    def free(self, item: Any) -> str:
        self.trouble(item[2], "free ")
        return "free"

    def ordered(self, item: Any, result: str, claim: Claim) -> None:
        self.trouble(item[2], "")
        if claim():
            self.done.append(item[:2])
            self.results.append(result)

    def lose(self, item: Any) -> None:
        self.lost.append(item[:2])


@pytest.mark.parametrize("trouble", ["free hangs", "hangs"])
def test_what_does_not_return_is_given_up_and_the_fov_goes_on(trouble: str) -> None:
    workers, troubled = Workers(1), Troubled()
    lanes = Lanes(workers, troubled.work, LaneLimits(step_deadline_s=0.1))
    for number in range(4):
        lanes.submit(0, (0, number, trouble if number == 1 else ""))
    assert lanes.drain(30.0)
    assert workers.n_given_up == 1
    numbers = [number for _, number in troubled.done]
    if trouble == "hangs":
        assert (numbers, troubled.lost) == ([0, 2, 3], [(0, 1)])
    else:
        assert (numbers, troubled.lost) == ([0, 1, 2, 3], [])
        assert troubled.results == ["free", "instead", "free", "free"]
    troubled.gate.set()
    assert troubled.back.acquire(timeout=30.0)
    assert [n for _, n in troubled.done] == numbers, "what comes late changes nothing"
    lanes.close()
    workers.close()


def test_what_claimed_in_time_is_not_given_up() -> None:
    workers, gate = Workers(1), threading.Event()
    lost: list[Item] = []
    claimed = threading.Event()

    def ordered(_item: Item, _result: Any, claim: Claim) -> None:
        assert claim()
        claimed.set()
        gate.wait(60.0)

    work = work_of(ordered=ordered, given_up=lost.append)
    lanes = Lanes(workers, work, LaneLimits(step_deadline_s=0.05))
    lanes.submit(0, (0, 0, 0.0))
    assert claimed.wait(30.0)
    assert not lanes.drain(0.3)
    gate.set()
    assert lanes.drain(30.0)
    assert lost == []
    assert workers.n_given_up == 0
    lanes.close()
    workers.close()


@settings(max_examples=25)
@given(
    items=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(["", "", "free raises", "free hangs", "hangs", "raises"]),
        ),
        max_size=25,
    ),
    n_workers=st.integers(1, 4),
)
def test_whatever_hangs_or_raises_each_fov_keeps_its_order(
    items: list[tuple[int, str]], n_workers: int
) -> None:
    workers, troubled = Workers(n_workers, max_lost=100), Troubled()
    limits = LaneLimits(step_deadline_s=0.03, fov_share=1.0)
    lanes = Lanes(workers, troubled.work, limits)
    for number, (fov, kind) in enumerate(items):
        lanes.submit(fov, (fov, number, kind))
    assert lanes.drain(30.0)
    troubled.gate.set()
    numbered = [(fov, number, kind) for number, (fov, kind) in enumerate(items)]
    assert set(troubled.lost) >= {i[:2] for i in numbered if i[2] == "hangs"}
    gone = {i[:2] for i in numbered if i[2] == "raises"} | set(troubled.lost)
    for fov in range(3):
        expected = [i[:2] for i in numbered if i[0] == fov and i[:2] not in gone]
        assert [done for done in troubled.done if done[0] == fov] == expected
    lanes.close()
    workers.close()
