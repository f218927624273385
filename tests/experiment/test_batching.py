"""No more positions at a time than fit, each with its own timesteps and intervals."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.experiment import (
    Channel,
    ExperimentError,
    RTMEvent,
    RTMSequence,
    apply_fov_batching,
    check_fov_batching,
    combine,
    plan,
    wait_before,
)

TIMES_S = st.sampled_from([0.1, 0.7, 1.0, 3.0, 10.0])


def imaged(n_fovs: int, interval_s: float = 10, loops: int = 3, **more: Any) -> Any:
    return RTMSequence(
        channels=["A"],
        stage_positions=[(x, 0) for x in range(n_fovs)],
        time_plan={"interval": interval_s, "loops": loops},
        **more,
    )


def when(events: tuple[RTMEvent, ...]) -> list[tuple[int, int, float | None]]:
    return [(e.fov, e.timestep, e.min_start_time) for e in events]


def starts_s(events: tuple[RTMEvent, ...]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for event in events:
        found.setdefault(event.fov, []).append(event.min_start_time or 0)
    return found


@st.composite
def experiments(draw: st.DrawFn) -> tuple[RTMEvent, ...]:
    """Return phases and arms, some of which begin late or count from elsewhere."""
    orders = st.sampled_from(["tpcz", "ptcz"])
    arms = [
        imaged(draw(st.integers(1, 6)), 10, draw(st.integers(1, 4)), axis_order=order)
        for order in draw(st.lists(orders, min_size=1, max_size=2))
    ]
    events = combine(*arms, axis="p")
    late_s, counted_from = draw(st.integers(0, 30)), draw(st.integers(0, 5))
    return tuple(
        e.model_copy(
            update={
                "index": {"t": e.timestep + counted_from, "p": e.fov},
                "min_start_time": (e.min_start_time or 0) + late_s,
            }
        )
        if e.fov % 3 == 2
        else e
        for e in events
    )


@given(experiments(), TIMES_S)
def test_every_position_keeps_its_timesteps_and_intervals(
    events: tuple[RTMEvent, ...], time_s: float
) -> None:
    batched = apply_fov_batching(events, time_s)
    assert len(batched) == len(events)
    for fov, before_s in starts_s(events).items():
        own = [e for e in batched if e.fov == fov]
        assert [e.timestep for e in own] == [e.timestep for e in events if e.fov == fov]
        after_s = starts_s(batched)[fov]
        later_s = after_s[0] - before_s[0]
        assert later_s >= 0
        assert after_s == pytest.approx([s + later_s for s in before_s])


@given(experiments(), TIMES_S, st.sampled_from(["current", "previous"]))
def test_when_it_happens_changes_and_never_what(
    events: tuple[RTMEvent, ...], time_s: float, stim_mode: str
) -> None:
    lit = tuple(e.model_copy(update={"stim_channels": (Channel("S"),)}) for e in events)
    batched = apply_fov_batching(lit, time_s)
    for fov in {event.fov for event in events}:
        before, after = (
            [
                replace(planned, planned_s=0)
                for planned in plan(source, stim_mode=stim_mode)
                if planned.fov == fov
            ]
            for source in (lit, batched)
        )
        assert before == after


@given(experiments(), TIMES_S)
def test_no_more_positions_at_a_time_than_fit(
    events: tuple[RTMEvent, ...], time_s: float
) -> None:
    batched = apply_fov_batching(events, time_s)
    timed = [own for own in starts_s(batched).values() if len(own) > 1]
    if not timed:
        return
    for moment_s in {own[0] for own in starts_s(batched).values()}:
        under_way = [
            own
            for own in starts_s(batched).values()
            if own[0] <= moment_s < own[-1] + time_s - 1e-3
        ]
        assert len(under_way) * time_s <= 10 + 1e-3


@given(experiments(), TIMES_S)
def test_batched_events_fit_and_stay_as_they_are(
    events: tuple[RTMEvent, ...], time_s: float
) -> None:
    batched = apply_fov_batching(events, time_s)
    assert check_fov_batching(batched, time_s) == []
    assert apply_fov_batching(batched, time_s) == batched


@given(experiments(), TIMES_S)
def test_what_fits_is_left_alone(events: tuple[RTMEvent, ...], time_s: float) -> None:
    fits = not check_fov_batching(events, time_s)
    assert (apply_fov_batching(events, time_s) == events) == fits


@given(st.integers(1, 12), TIMES_S)
def test_starts_never_go_back(n_fovs: int, time_s: float) -> None:
    batched = apply_fov_batching(imaged(n_fovs), time_s)
    pairs = pairwise(batched)
    assert all((a.min_start_time or 0) <= (b.min_start_time or 0) for a, b in pairs)


def test_a_batch_starts_when_the_one_before_is_done() -> None:
    batched = apply_fov_batching(imaged(3, 10, 2), 4)
    assert when(batched) == [
        (0, 0, 0),
        (1, 0, 0),
        (0, 1, 10),
        (1, 1, 10),
        (2, 0, 18),
        (2, 1, 28),
    ]


def test_fewer_positions_than_fit_may_be_asked_for() -> None:
    batched = apply_fov_batching(imaged(3, 10, 2), 4, 1)
    assert {e.fov: e.min_start_time for e in batched if e.timestep == 0} == {
        0: 0,
        1: 14,
        2: 28,
    }
    (problem,) = check_fov_batching(imaged(3), 1, n_parallel=2)
    assert problem.what == "3 positions run at the same time, 2 may."


def test_positions_one_after_the_other_fit() -> None:
    assert check_fov_batching(imaged(9, axis_order="ptcz"), 9) == []


@pytest.mark.parametrize("loops", [1, 3])
def test_without_an_interval_everything_fits(loops: int) -> None:
    assert check_fov_batching(imaged(50, 0, loops), 9) == []
    unplanned = RTMEvent(index={"t": 0, "p": 0}, channels=["A"])
    assert check_fov_batching([unplanned], 9) == []


def test_an_unplanned_start_waits_with_its_position() -> None:
    soon = [
        e.model_copy(update={"min_start_time": None}) if e.timestep == 1 else e
        for e in imaged(2, 10, 3)
    ]
    batched = apply_fov_batching(soon, 15)
    assert [(e.fov, e.min_start_time) for e in batched] == [
        (0, 0),
        (0, None),
        (0, 20),
        (1, 35),
        (1, 35),
        (1, 55),
    ]


def test_the_remedy_says_how() -> None:
    (problem,) = check_fov_batching(imaged(5, 60), 20)
    assert str(problem) == (
        "stage_positions: 5 positions of 20 s need 100 s; the interval is 60 s. Use "
        "apply_fov_batching (2 batches of up to 3), an interval of 100 s, or fewer "
        "positions."
    )


@pytest.mark.parametrize(
    ("time_s", "n_parallel", "message"),
    [
        (11, None, "time_plan: one position takes 11 s; the interval is 10 s"),
        (4, 3, "n_parallel: 3 positions need 12 s; .* Use 2 or fewer"),
    ],
)
def test_what_cannot_fit_is_refused(
    time_s: float, n_parallel: int | None, message: str
) -> None:
    assert check_fov_batching(imaged(3), time_s, n_parallel)
    with pytest.raises(ExperimentError, match=message):
        apply_fov_batching(imaged(3), time_s, n_parallel)


@pytest.mark.parametrize("time_s", [0, -1, float("nan"), float("inf")])
def test_senseless_numbers_are_refused_together(time_s: float) -> None:
    with pytest.raises(ExperimentError) as caught:
        check_fov_batching(imaged(3), time_s, 0)
    places = [problem.where for problem in caught.value.problems]
    assert places == ["time_per_fov_s", "n_parallel"]


@given(st.integers(1, 7), st.integers(2, 5), st.data())
def test_every_batch_does_what_comes_before_a_wait_before_it(
    n_fovs: int, loops: int, data: st.DataObject
) -> None:
    waits_at = data.draw(st.integers(1, loops - 1))
    plain = imaged(n_fovs, 10, loops)
    events = wait_before(plain, waits_at, pause_before="Add the drug.")
    batched = apply_fov_batching(events, 3)
    (number,) = [i for i, e in enumerate(batched) if "wait" in e.metadata]
    assert {e.timestep for e in batched[:number]} == set(range(waits_at))
    assert {e.timestep for e in batched[number:]} == set(range(waits_at, loops))
    assert sorted((e.fov, e.timestep) for e in batched) == sorted(
        (e.fov, e.timestep) for e in plain
    )
    times_s = [e.min_start_time or 0 for e in batched]
    assert times_s == sorted(times_s)
    assert check_fov_batching(batched[:number], 3) == []
    assert check_fov_batching(batched[number:], 3) == []
