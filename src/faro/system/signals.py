"""Signals by name: which of them a system has, and who takes them."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Taken: TypeAlias = Callable[[int], object]

INTERRUPT = int(signal.SIGINT)
TERMINATE = int(signal.SIGTERM)
KILL = 9
"""Nobody can answer it; Windows ends a process at once instead."""


def number_of(name: str) -> int:
    """Return the number of a signal of this system, such as ``"SIGTERM"``."""
    return int(getattr(signal, name))


def name_of(number: int) -> str:
    """Return the name of a signal.

    >>> name_of(number_of("SIGTERM"))
    'SIGTERM'
    """
    return signal.Signals(number).name


def can_take() -> bool:
    """Return whether signals can be taken here: only on the main thread."""
    return threading.current_thread() is threading.main_thread()


def untaken(names: Iterable[str]) -> list[int]:
    """Return the numbers of those signals that still do what the system does."""
    numbers = map(number_of, names)
    return [n for n in numbers if signal.getsignal(n) is signal.SIG_DFL]


def take(number: int, taken: Taken) -> object:
    """Have ``taken(number)`` called at a signal; return what `is_taken_by` knows.

    It is called between two steps of what runs there, and must take no lock.
    Main thread only.
    """

    def handle(number: int, frame: object) -> None:  # noqa: ARG001  a signal handler
        taken(number)

    signal.signal(number, handle)
    return handle


def is_taken_by(number: int, handler: object) -> bool:
    """Return whether ``handler``, which `take` returned, still has the signal."""
    return signal.getsignal(number) is handler


def give_back(number: int) -> None:
    """Let the system answer a signal; does nothing where that cannot be."""
    with contextlib.suppress(ValueError, OSError):
        signal.signal(number, signal.SIG_DFL)


def ignore(number: int) -> None:
    """Have nothing happen at a signal. Main thread only."""
    signal.signal(number, signal.SIG_IGN)


def interrupt_as_usual() -> None:
    """Have Ctrl-C raise KeyboardInterrupt, whatever was inherited. Main thread only."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def end_by(number: int) -> None:
    """End this process as a signal does that nobody takes."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
