"""The state machine: legal moves pass, illegal ones are typed errors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.errors import RunStateError
from faro.run.state import LEGAL, RunState, StateMachine


@given(st.lists(st.sampled_from(RunState), max_size=30))
def test_the_machine_follows_the_table_whatever_is_asked(
    wishes: list[RunState],
) -> None:
    machine = StateMachine()
    for wish in wishes:
        before = machine.now
        legal = wish in LEGAL[before]
        assert machine.try_move(wish) is legal
        assert machine.now is (wish if legal else before)


def test_an_illegal_move_names_both_states_and_the_ways_out() -> None:
    match = "idle cannot become stopping. It can become: running"
    with pytest.raises(RunStateError, match=match):
        StateMachine().move(RunState.STOPPING)


def test_every_state_can_be_left() -> None:
    assert all(LEGAL[state] for state in RunState)
