"""Where a run is, and which moves are legal: one table."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import Final

from faro.errors import RunStateError


class RunState(StrEnum):
    """Where a run is.

    Waiting is for a time of day, paused for a person. Open is between the phases of a
    run that may be continued.
    """

    IDLE = "idle"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    OPEN = "open"
    STOPPING = "stopping"
    FINISHING = "finishing"


ENDINGS: Final = frozenset({RunState.STOPPING, RunState.FINISHING})
LEGAL: Final[dict[RunState, frozenset[RunState]]] = {
    RunState.IDLE: frozenset({RunState.RUNNING}),
    RunState.RUNNING: frozenset({RunState.WAITING, RunState.PAUSED, RunState.OPEN})
    | ENDINGS,
    RunState.WAITING: frozenset({RunState.RUNNING}) | ENDINGS,
    RunState.PAUSED: frozenset({RunState.RUNNING}) | ENDINGS,
    RunState.OPEN: frozenset({RunState.RUNNING, RunState.FINISHING}),
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

    def move(self, then: RunState, *, start: RunState | None = None) -> None:
        """Go to ``then``.

        Parameters
        ----------
        start
            The only state to go from; any that the table allows if None.

        Raises
        ------
        RunStateError
            If the table has no such move, or the state is not ``start``.
        """
        with self._lock:
            wrong = start is not None and self._state is not start
            if wrong or then not in LEGAL[self._state]:
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
