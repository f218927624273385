"""Waits are kept as data, and refused where they cannot be understood."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.experiment import (
    Channel,
    ExperimentError,
    RTMEvent,
    RTMSequence,
    Treatment,
    Wait,
    arrange,
    check,
    combine,
    load_events,
    save_events,
    wait_before,
    waits,
)
from faro.experiment.waiting import moment, start_warnings
from faro.model import HardwareFacts

FACTS = HardwareFacts(image_shape=(8, 8))
NINE = "2026-11-24T09:00:00+01:00"
ZONES = st.integers(-12, 14).map(lambda h: timezone(timedelta(hours=h)))
TEXTS = st.text(min_size=1).filter(lambda text: bool(text.strip()))

SEQUENCE = RTMSequence(
    channels=[Channel("A", 5)],
    stage_positions=[(0, 0), (1, 1)],
    time_plan={"interval": 5, "loops": 4},
)


def said(wait: Any) -> list[str]:
    """Return what is wrong with events that say ``wait`` in their metadata."""
    event = RTMEvent(
        index={"t": 1, "p": 2}, channels=[Channel("A", 5)], metadata={"wait": wait}
    )
    return [str(p) for p in check([event], facts=FACTS)]


@given(st.integers(0, 3), st.datetimes(timezones=ZONES), TEXTS)
def test_what_was_said_is_found_where_it_was_said(
    timestep: int, when: datetime, text: str
) -> None:
    timed = wait_before(SEQUENCE, timestep, start_at=when)
    events = wait_before(timed, timestep, pause_before=text)
    assert waits(events) == (Wait(timestep, 0, when.isoformat(), text),)
    bare = [e.model_copy(update={"metadata": {}}) for e in events]
    assert bare == list(SEQUENCE)
    assert check(events, facts=FACTS) == []


def test_without_a_timestep_the_start_waits() -> None:
    events = wait_before(SEQUENCE, start_at=NINE)
    assert events[0].metadata == {"wait": {"start_at": NINE}}
    assert [wait.timestep for wait in waits(events)] == [0]


def test_waits_survive_combine_and_saving(tmp_path: Any) -> None:
    second = wait_before(SEQUENCE, pause_before="Add the drug.")
    events = combine(wait_before(SEQUENCE, start_at=NINE), second)
    assert [(w.timestep, w.pause_before) for w in waits(events)] == [
        (0, None),
        (4, "Add the drug."),
    ]
    assert load_events(save_events(events, tmp_path / "events.json")) == events


@given(st.integers(0, 20 * 86_400), st.times())
def test_a_time_of_day_is_the_next_one_by_this_computers_clock(
    age_s: int, of_day: time
) -> None:
    january = datetime(2026, 1, 5, tzinfo=UTC)
    after = (january + timedelta(seconds=age_s)).astimezone()
    said = of_day.replace(microsecond=0)
    found = moment(f"{said}", after)
    assert (found.tzinfo is not None, found.time()) == (True, said)
    assert timedelta(0) <= found - after < timedelta(days=1)


def test_a_moment_with_a_date_is_itself() -> None:
    assert moment(NINE, datetime(2030, 1, 1, tzinfo=UTC)).isoformat() == NINE


def test_a_time_before_the_one_before_is_refused() -> None:
    later = wait_before(SEQUENCE, 1, start_at=NINE)
    earlier = datetime(2026, 11, 24, 7, 59, tzinfo=UTC)
    events = wait_before(later, 3, start_at=earlier)
    (problem,) = check(events, facts=FACTS)
    assert str(problem) == (
        "events/t=3,p=0/wait/start_at: 2026-11-24T07:59:00+00:00 is before "
        f"{NINE}, waited for earlier. Give a later time."
    )


@pytest.mark.parametrize(
    ("wait", "message"),
    [
        ("later", "events/t=1,p=2/wait: 'later' is no wait. Give start_at="),
        ({}, "wait: there is nothing to wait for"),
        ({"start": NINE}, "wait: there is no 'start'. Did you mean 'start_at'?"),
        ({"start_at": "9 o'clock"}, 'wait/start_at: "9 o\'clock" is no time'),
        ({"start_at": 9}, "wait/start_at: 9 is no time"),
        (
            {"start_at": "2026-11-24T09:00"},
            "wait/start_at: 2026-11-24T09:00 has no time zone. Give '18:30'",
        ),
        ({"pause_before": " "}, "wait/pause_before: ' ' tells nobody what to do"),
        ({"pause_before": 5}, "wait/pause_before: 5 tells nobody what to do"),
    ],
    ids=str,
)
def test_a_wait_that_is_not_understood_is_refused(wait: Any, message: str) -> None:
    assert any(message in problem for problem in said(wait)), said(wait)
    event = RTMEvent(index={"t": 1, "p": 2}, metadata={"wait": wait})
    with pytest.raises(ExperimentError):
        waits([event])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "wait_before: there is nothing to wait for"),
        ({"start_at": "soon"}, "wait_before/start_at: 'soon' is no time"),
        (
            {"timestep": 9, "pause_before": "Look."},
            "timestep: there is no timestep 9; the last one is 3",
        ),
    ],
)
def test_a_wrong_wait_is_refused_at_once(words: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        wait_before(SEQUENCE, **words)


def test_the_same_is_not_waited_for_twice() -> None:
    once = wait_before(SEQUENCE, pause_before="Look.")
    with pytest.raises(ExperimentError, match=r"waits for 'Look\.' already"):
        wait_before(once, pause_before="Look again.")


def test_nothing_can_wait_in_no_experiment() -> None:
    with pytest.raises(ExperimentError, match="the last one is -1"):
        wait_before([], pause_before="Look.")


def test_a_treatment_does_not_wait() -> None:
    waiting = Treatment("q", metadata={"wait": {"pause_before": "Look."}})
    with pytest.raises(ExperimentError, match="metadata/wait: 'wait' is set by faro"):
        arrange(SEQUENCE, [waiting], seed=1)


@pytest.mark.parametrize(
    ("hours", "text", "message"),
    [
        (0, NINE, ""),
        (2, NINE, f"{NINE} is over: nothing would be waited for."),
        (0, "{0:%H:%M}", ""),
        (-100, NINE, ""),
    ],
)
def test_a_time_that_may_not_be_meant_is_a_warning(
    hours: float, text: str, message: str
) -> None:
    now = datetime.fromisoformat(NINE) + timedelta(hours=hours - 1)
    said = text.format((now + timedelta(hours=1)).astimezone())
    found = start_warnings(wait_before(SEQUENCE, start_at=said), now)
    assert [problem.what for problem in found] == ([message] if message else [])
    assert all(problem.severity == "warning" for problem in found)


def test_a_time_of_day_that_is_tomorrow_is_a_warning() -> None:
    now = datetime.fromisoformat(NINE)
    earlier = f"{(now - timedelta(hours=1)).astimezone():%H:%M}"
    (found,) = start_warnings(wait_before(SEQUENCE, start_at=earlier), now)
    assert f"{earlier} is 23.0 hours from now, on 25 November" in found.what
