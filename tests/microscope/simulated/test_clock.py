"""The dish's clock follows planned times, never goes back, else follows the wall."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from faro.microscope.simulated.clock import WorldClock


class Wall:
    """A wall clock in the test's hands."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@given(st.lists(st.tuples(st.floats(0, 1e5), st.booleans()), min_size=1))
def test_time_never_goes_back(planned: list[tuple[float, bool]]) -> None:
    clock, before_s = WorldClock(), 0.0
    for planned_s, begins in planned:
        if begins:
            clock.begin()
        clock.set(planned_s)
        assert clock.now_s >= before_s
        before_s = clock.now_s


def test_planned_time_stands_still_whatever_the_wall_says() -> None:
    wall = Wall()
    clock = WorldClock(wall)
    clock.set(3.0)
    wall.now_s += 50.0
    assert clock.now_s == 3.0


def times(clock: WorldClock, *planned: float) -> list[float]:
    clock.begin()
    seen = []
    for planned_s in planned:
        clock.set(planned_s)
        seen.append(clock.now_s)
    return seen


def test_an_event_planned_for_earlier_happens_at_once_and_delays_no_other() -> None:
    assert times(WorldClock(), 0.0, 4.5, 4.0, 6.0) == [0.0, 4.5, 4.5, 6.0]


def test_a_second_run_goes_on_where_the_first_one_ended() -> None:
    clock = WorldClock()
    assert times(clock, 0.0, 1.5, 3.0) == [0.0, 1.5, 3.0]
    assert times(clock, 0.0, 1.5) == [3.0, 4.5]


def test_a_continued_run_keeps_its_planned_times() -> None:
    clock = WorldClock()
    assert times(clock, 0.0, 1.5) == [0.0, 1.5]
    assert times(clock, 3.0, 4.5) == [3.0, 4.5]


def test_without_planned_times_the_wall_clock_counts_from_the_first_look() -> None:
    wall = Wall()
    clock = WorldClock(wall)
    assert clock.now_s == 0.0
    wall.now_s += 2.0
    assert clock.now_s == 2.0


def test_after_release_life_goes_on_and_a_run_starts_from_there() -> None:
    wall = Wall()
    clock = WorldClock(wall)
    clock.set(10.0)
    clock.release()
    wall.now_s += 5.0
    assert clock.now_s == 15.0
    clock.begin()
    clock.set(0.0)
    wall.now_s += 5.0
    assert clock.now_s == 15.0
    clock.set(1.0)
    assert clock.now_s == 16.0


def test_a_restored_clock_goes_on_like_the_first() -> None:
    first, second = WorldClock(), WorldClock()
    times(first, 0.0, 7.0)
    times(first, 0.0, 2.0)
    second.restore(first.state())
    assert second.now_s == first.now_s == 9.0
    assert times(first, 4.0) == times(second, 4.0) == [11.0]
