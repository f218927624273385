"""The SLM belongs to the run while its mask is on it."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faro.errors import HardwareError
from faro.microscope import turns
from faro.microscope.turns import SlmTurns

STEPS = st.lists(st.sampled_from(["begin", "take", "leave", "end", "between"]))


@given(steps=STEPS)
def test_in_between_is_only_where_no_mask_is(steps: list[str]) -> None:
    shared, run_is_on, taken = SlmTurns(), False, False
    told: list[bool] = []
    for step in steps:
        if step == "begin" and not taken:
            shared.begin_run()
            run_is_on = True
        elif step == "take" and run_is_on:
            shared.take()
            taken = True
        elif step == "leave":
            shared.leave()
            taken = False
        elif step == "end":
            shared.end_run()
            run_is_on = taken = False
        elif step == "between":
            told.clear()
            assert shared.between(told.append) is not taken
            assert told == ([] if taken else [run_is_on])


def test_a_run_waits_for_who_is_in_between() -> None:
    shared, inside, go_on = SlmTurns(), threading.Event(), threading.Event()
    order: list[str] = []

    def use(_: bool) -> None:  # noqa: FBT001  called by the turns
        inside.set()
        go_on.wait(20)
        order.append("blank again")

    def begin() -> None:
        shared.begin_run()
        order.append("run")

    threads = [threading.Thread(target=shared.between, args=(use,))]
    threads[0].start()
    assert inside.wait(20)
    threads.append(threading.Thread(target=begin))
    threads[1].start()
    assert not shared.between(lambda _: order.append("both"))
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert order == ["blank again", "run"]


def test_who_does_not_let_go_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_S", 0.01)
    shared = SlmTurns()

    def use(_: bool) -> None:  # noqa: FBT001  called by the turns
        with pytest.raises(HardwareError, match=r"kept awake for more than 0\.01 s"):
            shared.begin_run()
        with pytest.raises(HardwareError, match="Check the SLM: it hangs"):
            shared.take()

    assert shared.between(use)
    shared.begin_run()


def test_who_fails_in_between_lets_go() -> None:
    shared = SlmTurns()
    with pytest.raises(ZeroDivisionError):
        shared.between(lambda _: 1 / 0)
    assert shared.between(lambda _: None)
