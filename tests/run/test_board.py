"""Decisions: waiting ends by a decision, a deadline or a close, and only so."""

from __future__ import annotations

import threading

from faro.model import Decision, Stimulus
from faro.run.board import KEPT_PER_FOV, DecisionBoard


def test_a_decision_published_later_is_found_by_who_waits() -> None:
    board = DecisionBoard()
    found: list[Decision | None] = []
    waiter = threading.Thread(
        target=lambda: found.append(board.wait(1, 5, "Cyan", 30.0))
    )
    waiter.start()
    board.publish(Decision(1, 4, None))
    board.publish(Decision(0, 5, None))
    board.publish(Decision(1, 5, Stimulus()))
    waiter.join(30.0)
    assert [(d.fov, d.timestep) for d in found if d] == [(1, 5)]


def test_the_deadline_gives_nothing() -> None:
    assert DecisionBoard().wait(0, 0, "Cyan", 0.01) is None


def test_close_wakes_who_waits_for_long() -> None:
    board = DecisionBoard()
    found: list[Decision | None] = []
    waiter = threading.Thread(
        target=lambda: found.append(board.wait(0, 0, "Cyan", 3600.0))
    )
    waiter.start()
    board.close()
    waiter.join(30.0)
    assert not waiter.is_alive()
    assert found == [None]


def test_old_decisions_are_forgotten_so_that_a_long_run_does_not_grow() -> None:
    board = DecisionBoard()
    for timestep in range(1000):
        board.publish(Decision(0, timestep, None))
    kept = [t for t in range(1000) if board.wait(0, t, "Cyan", 0.0)]
    assert kept == list(range(1000 - KEPT_PER_FOV, 1000))


def test_the_first_decision_on_a_frame_stands() -> None:
    board = DecisionBoard()
    assert board.publish(Decision(0, 3, None, "failed: too late"))
    assert not board.publish(Decision(0, 3, Stimulus()))
    decision = board.wait(0, 3, "Cyan", 0.0)
    assert decision is not None
    assert decision.stimulus is None


def test_each_channel_has_a_decision_of_its_own() -> None:
    board = DecisionBoard()
    board.publish(Decision(0, 3, Stimulus(), channel="Cyan"))
    assert board.wait(0, 3, "Red", 0.0) is None
    assert not board.knows(0, 3, ["Cyan", "Red"])
    board.publish(Decision(0, 3, None, channel="Red"))
    assert board.knows(0, 3, ["Cyan", "Red"])
    found = [board.wait(0, 3, name, 0.0) for name in ("Cyan", "Red")]
    assert [d.channel for d in found if d] == ["Cyan", "Red"]


def test_a_decision_for_every_channel_holds_where_there_is_no_other() -> None:
    board = DecisionBoard()
    board.publish(Decision(0, 3, Stimulus(), channel="Cyan"))
    assert board.publish(Decision(0, 3, None, "given up"))
    assert not board.publish(Decision(0, 3, Stimulus(), channel="Red"))
    found = [board.wait(0, 3, name, 0.0) for name in ("Cyan", "Red")]
    assert [d.reason for d in found if d] == ["ok", "given up"]


def test_a_decision_that_stands_is_told_once_when_it_is_known() -> None:
    told: list[bool] = []
    board = DecisionBoard(lambda: told.append(board.knows(0, 0, ["Cyan"])))
    for reason in ("ok", "late"):
        board.publish(Decision(0, 0, None, reason, 0.0, channel="Cyan"))
    assert told == [True]
