"""Where a run is, and which moves are legal: one table."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import Final

from faro.errors import RunStateError


class RunState(StrEnum):
    """Where a run is: waiting is for a time of day, paused for a person."""

    IDLE = "idle"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    STOPPING = "stopping"
    FINISHING = "finishing"


ENDINGS: Final = frozenset({RunState.STOPPING, RunState.FINISHING})
LEGAL: Final[dict[RunState, frozenset[RunState]]] = {
    RunState.IDLE: frozenset({RunState.RUNNING}),
    RunState.RUNNING: frozenset({RunState.WAITING, RunState.PAUSED}) | ENDINGS,
    RunState.WAITING: frozenset({RunState.RUNNING}) | ENDINGS,
    RunState.PAUSED: frozenset({RunState.RUNNING}) | ENDINGS,
    RunState.STOPPING: frozenset({RunState.FINISHING}),
    RunState.FINISHING: frozenset({RunState.IDLE}),
}


class StateMachine:
    """The state of one controller; any thread may ask, moves are checked.

    >>> machine = StateMachine()
    >>> machine.move(RunState.FINISHING)
    Traceback (most recent call last):
    faro.errors.RunStateError: A run that is idle cannot become finishing.
    It can become: running.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = RunState.IDLE

    @property
    def now(self) -> RunState:
        """The state at this moment."""
        return self._state

    def move(self, then: RunState) -> None:
        """Go to ``then``.

        Raises
        ------
        RunStateError
            If the table has no such move.
        """
        with self._lock:
            if then not in LEGAL[self._state]:
                problem = f"A run that is {self._state} cannot become {then}."
                ways = ", ".join(sorted(LEGAL[self._state]))
                raise RunStateError(problem, remedy=f"It can become: {ways}.")
            self._state = then

    def try_move(self, then: RunState) -> bool:
        """Go to ``then`` if that is legal; return whether it was."""
        with self._lock:
            legal = then in LEGAL[self._state]
            if legal:
                self._state = then
            return legal
