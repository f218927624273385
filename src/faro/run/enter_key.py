"""Enter in the terminal ends a pause."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faro.errors import RunStateError
from faro.system.keyboard import enter_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

    from faro.run.gate import Gate
    from faro.run.notices import Notices

logger = logging.getLogger(__name__)

LOOK_S = 0.2


@contextmanager
def enter_resumes(
    gate: Gate, notices: Notices, terminal: IO[str] | None = None
) -> Iterator[None]:
    """Have Enter end every pause inside the block, where there is a terminal.

    Enter before a pause is forgotten: only one that is pressed during a pause counts.

    Parameters
    ----------
    gate
        What is paused.
    notices
        Tell when a pause begins; what is to be done is written to standard error then.
    terminal
        Where Enter is pressed; None for standard input. Anything that is no terminal
        is left alone.
    """
    source = sys.stdin if terminal is None else terminal
    if source is None or source.closed or not source.isatty():
        yield
        return
    over = threading.Event()
    args = (gate, enter_at(source.fileno(), LOOK_S), over)
    reader = threading.Thread(
        target=_resume_on_enter, args=args, name="faro-enter", daemon=True
    )
    notices.paused.connect(_ask)
    reader.start()
    try:
        yield
    finally:
        over.set()
        reader.join(LOOK_S * 5)
        notices.paused.disconnect(_ask)


def _ask(what_to_do: str) -> None:
    sys.stderr.write(f"\nPaused: {what_to_do}\nPress Enter to go on.\n")
    sys.stderr.flush()


def _resume_on_enter(
    gate: Gate, look: Callable[[], bool | None], over: threading.Event
) -> None:
    """Look for Enter until the block is over or the terminal is gone."""
    while not over.is_set():
        pressed = look()
        if pressed is None:
            logger.warning("The terminal is gone: only resume() ends a pause.")
            return
        if pressed and gate.doing:
            try:
                gate.resume()
            except RunStateError as error:
                logger.info("Enter was pressed: %s", error)
