"""Enter in a real terminal ends a pause; Enter before it does not."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import IO, TYPE_CHECKING

import pytest

from faro.experiment import RTMEvent, plan
from faro.run.clock import RunClock
from faro.run.enter_key import LOOK_S, enter_resumes
from faro.run.gate import Gate
from faro.run.notices import Notices
from faro.run.recorder import Recorder
from faro.run.state import StateMachine
from faro.testing.posix import open_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faro.experiment import PlannedEvent

NEVER_S = 20.0
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="opens a pty")


class Terminal:
    """A keyboard, and what a program reads from it."""

    def __init__(self) -> None:
        self.keyboard, program = open_terminal()
        self.stdin: IO[str] = os.fdopen(program, "r")

    def press(self, keys: str) -> None:
        os.write(self.keyboard, keys.encode())

    def close(self) -> None:
        self.stdin.close()
        os.close(self.keyboard)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    opened.close()


@pytest.fixture
def notices() -> Notices:
    return Notices()


@pytest.fixture
def gate(notices: Notices) -> Gate:
    clock = RunClock()
    recorder = Recorder(None, clock, lambda _: None)
    return Gate(clock, recorder, notices, StateMachine(), lambda _: None)


@pytest.fixture
def event() -> PlannedEvent:
    metadata = {"wait": {"pause_before": "Add the drug."}}
    event = RTMEvent(index={"t": 0, "p": 0}, channels=["A"], metadata=metadata)
    return next(plan([event]))


def entered(gate: Gate, event: PlannedEvent) -> threading.Thread:
    """Return a thread that waits at the gate, once it is paused."""
    thread = threading.Thread(target=gate.enter, args=(event,))
    thread.start()
    until_s = time.monotonic() + NEVER_S
    while not gate.doing and time.monotonic() < until_s:
        time.sleep(0.01)
    return thread


def test_enter_in_the_terminal_ends_a_pause(
    gate: Gate,
    notices: Notices,
    terminal: Terminal,
    event: PlannedEvent,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with enter_resumes(gate, notices, terminal.stdin):
        waiting = entered(gate, event)
        assert notices.flush(NEVER_S)
        terminal.press("yes\n")
        waiting.join(NEVER_S)
        assert not waiting.is_alive()
    shown = capsys.readouterr().err
    assert "Paused: Add the drug.\nPress Enter to go on." in shown


def test_enter_before_a_pause_and_other_keys_do_not_count(
    gate: Gate, notices: Notices, terminal: Terminal, event: PlannedEvent
) -> None:
    with enter_resumes(gate, notices, terminal.stdin):
        terminal.press("\n\n")
        time.sleep(3 * LOOK_S)
        waiting = entered(gate, event)
        terminal.press("yes")
        waiting.join(3 * LOOK_S)
        assert waiting.is_alive()
        gate.close()
        waiting.join(NEVER_S)


def test_a_terminal_that_goes_away_is_said_and_ends_nothing(
    gate: Gate,
    notices: Notices,
    event: PlannedEvent,
    caplog: pytest.LogCaptureFixture,
) -> None:
    opened = Terminal()
    with enter_resumes(gate, notices, opened.stdin):
        waiting = entered(gate, event)
        os.close(opened.keyboard)
        until_s = time.monotonic() + NEVER_S
        while "only resume()" not in caplog.text and time.monotonic() < until_s:
            time.sleep(0.01)
        assert waiting.is_alive()
        gate.resume()
        waiting.join(NEVER_S)
    opened.stdin.close()
    assert "The terminal is gone: only resume() ends a pause." in caplog.text


def test_what_is_no_terminal_is_left_alone(
    gate: Gate, notices: Notices, tmp_path: Path
) -> None:
    path = tmp_path / "input.txt"
    path.write_text("for somebody else\n", encoding="utf-8")
    with path.open(encoding="utf-8") as piped:
        with enter_resumes(gate, notices, piped):
            time.sleep(0.05)
        assert piped.read() == "for somebody else\n"
    with enter_resumes(gate, notices, piped):
        assert not gate.doing
