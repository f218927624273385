"""Whose turn it is to use the SLM: a run's, or somebody's in between."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from faro.errors import HardwareError

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 5.0


class SlmTurns:
    """Keeps a run and others, who keep the SLM awake, from each other's patterns.

    While a mask is prepared, shown and blanked, the SLM is the run's alone. At other
    times somebody else may use it for a moment, knowing whether a run is on; a run
    cannot begin during that moment.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._run_is_on = False

    def begin_run(self) -> None:
        """Note that a run begins, when nobody uses the SLM any more.

        Raises
        ------
        HardwareError
            If somebody does not let go of it.
        """
        self._acquire()
        self._run_is_on = True
        self._lock.release()

    def end_run(self) -> None:
        """Note that the run has ended; its turn is over too."""
        self.leave()
        self._run_is_on = False

    def take(self) -> None:
        """Have the SLM for a mask of the run; raises as `begin_run` does."""
        if not self._taken:
            self._acquire()
            self._taken = True

    def leave(self) -> None:
        """Let others use the SLM; nothing happens if it was not taken."""
        if self._taken:
            self._taken = False
            self._lock.release()

    def between(self, use: Callable[[bool], object]) -> bool:
        """Call ``use(run_is_on)``, unless the SLM is being used; return whether.

        Whoever shows light in it must have blanked the SLM when it returns.
        """
        if not self._lock.acquire(blocking=False):
            return False
        try:
            use(self._run_is_on)
        finally:
            self._lock.release()
        return True

    def _acquire(self) -> None:
        if not self._lock.acquire(timeout=PATIENCE_S):
            problem = f"The SLM is being kept awake for more than {PATIENCE_S:g} s."
            raise HardwareError(problem, remedy="Check the SLM: it hangs.")
