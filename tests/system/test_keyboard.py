"""Enter is seen at a console of Windows, with stand-in keys, and at a terminal."""

from __future__ import annotations

import os
import sys
import time

import pytest

from faro.system import keyboard
from faro.testing.posix import open_terminal

LOOK_S = 0.05


class Keys:
    """A keyboard that is pressed by a program."""

    def __init__(self, pressed: str) -> None:
        self.pressed = list(pressed)

    def kbhit(self) -> bool:
        return bool(self.pressed)

    def getwch(self) -> str:
        return self.pressed.pop(0)


@pytest.mark.parametrize(
    ("pressed", "seen", "left"),
    [("", 0, 0), ("abc", 0, 0), ("a\rb", 1, 1), ("\n", 1, 0)],
)
def test_windows_reads_keys_up_to_enter(pressed: str, seen: int, left: int) -> None:
    keys = Keys(pressed)
    assert keyboard.windows_look(keys, LOOK_S)() is bool(seen)
    assert len(keys.pressed) == left


def test_each_system_gets_its_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyboard, "KEYS", Keys("\r"))
    assert keyboard.enter_at(0, LOOK_S, "win32")() is True


@pytest.mark.skipif(sys.platform == "win32", reason="opens a pty")
def test_a_terminal_is_looked_at_until_it_is_gone() -> None:
    keys, program = open_terminal()
    look = keyboard.enter_at(program, LOOK_S)
    start_s = time.monotonic()
    assert look() is False
    assert time.monotonic() - start_s >= LOOK_S / 2
    os.write(keys, b"no\n")
    assert look() is True
    os.close(keys)
    assert look() is None
    os.close(program)
