"""Order per FOV: whoever works, however long it takes, whatever fails."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.run.lanes import Lanes
from faro.run.workers import Workers

Item = tuple[int, int, float]


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

    lanes: Lanes[Item, float] = Lanes(
        workers, free, lambda item, _: done.append(item[:2])
    )
    for number, (fov, pause_s) in enumerate(items):
        lanes.submit(fov, (fov, number, pause_s))
    assert lanes.drain(30.0)
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

    lanes: Lanes[Item, None] = Lanes(workers, free, lambda item, _: done.append(item))
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

    def ordered(item: Item, _result: None) -> None:
        if item[1] == bad:
            message = "rubbish"
            raise ValueError(message)
        done.append(item[1])

    lanes: Lanes[Item, None] = Lanes(workers, lambda _: None, ordered)
    for number in range(10):
        lanes.submit(0, (0, number, 0.0))
    assert lanes.drain(30.0)
    workers.close()
    assert done == [n for n in range(10) if n != bad]
    assert "rubbish" in caplog.text


def test_submit_blocks_while_too_much_is_in_flight_and_says_so() -> None:
    workers, gate = Workers(1), threading.Event()
    lanes: Lanes[Item, bool] = Lanes(
        workers, lambda _: gate.wait(60.0), lambda *_: None, max_in_flight=2
    )
    assert not lanes.submit(0, (0, 0, 0.0))
    assert not lanes.submit(0, (0, 1, 0.0))
    blocked: list[bool] = []
    third = threading.Thread(
        target=lambda: blocked.append(lanes.submit(0, (0, 2, 0.0)))
    )
    third.start()
    assert lanes.in_flight == 2
    gate.set()
    third.join(30.0)
    assert lanes.drain(30.0)
    workers.close()
    assert blocked == [True]
