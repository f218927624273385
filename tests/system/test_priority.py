"""A process that only looks on lets others go first."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from faro.system.priority import BELOW_NORMAL, NICE, lower_priority

SCRIPT = """
import os
from faro.system.priority import lower_priority
before = os.nice(0)
lower_priority()
print(os.nice(0) - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a Unix, Windows has none")
def test_it_is_nice() -> None:
    command = [sys.executable, "-c", SCRIPT]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert 0 < int(said) <= NICE


def test_on_windows_the_class_of_the_process_is_lowered() -> None:
    asked: list[tuple[int, int]] = []

    def current() -> int:
        return 42

    def set_class(process: int, priority: int) -> int:
        asked.append((process, priority))
        return 1

    kernel = SimpleNamespace(GetCurrentProcess=current, SetPriorityClass=set_class)
    lower_priority("win32", kernel)
    assert asked == [(42, BELOW_NORMAL)]
