"""Enter in the terminal ends a pause."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faro.errors import RunStateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

    from faro.run.gate import Gate
    from faro.run.notices import Notices

logger = logging.getLogger(__name__)

LOOK_S = 0.2
READ_BYTES = 1024


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
    look = _pressed_on_windows if sys.platform == "win32" else _pressed(source.fileno())
    reader = threading.Thread(
        target=_resume_on_enter, args=(gate, look, over), name="faro-enter", daemon=True
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


def _pressed(descriptor: int) -> Callable[[], bool | None]:
    """Return a look for Enter: False after a while, None when the terminal is gone."""
    import select  # noqa: PLC0415  of sockets only on Windows

    def look() -> bool | None:
        ready, _, _ = select.select([descriptor], [], [], LOOK_S)
        if not ready:
            return False
        try:
            read = os.read(descriptor, READ_BYTES)
        except OSError:
            return None
        return b"\n" in read if read else None

    return look


def _pressed_on_windows() -> bool | None:
    """Return whether Enter was pressed; waits a while for it."""
    pressed = False
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415  Windows only

        until_s = time.monotonic() + LOOK_S
        while not pressed and time.monotonic() < until_s:
            if msvcrt.kbhit():
                pressed = msvcrt.getwch() in {"\r", "\n"}
            else:
                time.sleep(LOOK_S / 10)
    return pressed
