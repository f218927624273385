"""The ways in which a process can end; they are listed in ``exit_cases.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from faro.system.facts import WINDOWS
from faro.system.signals import INTERRUPT, KILL, number_of

TABLE = Path(__file__).with_suffix(".toml")

PRELUDE = """\
from __future__ import annotations
import gc, os, sys, threading, time
from faro.testing.exit_scene import Scene

scene = Scene()
"""


class Core(StrEnum):
    """What the devices run on.

    ``uni``: Python devices, among them the exclusive DMD, and a C++ camera.
    ``cpp``: Micro-Manager's demo devices only.
    """

    UNI = "uni"
    CPP = "cpp"


@dataclass(frozen=True, slots=True)
class ExitCase:
    """One way to end; see ``exit_cases.toml`` for what the fields mean."""

    name: str
    group: str
    script: str
    code: int
    cores: tuple[Core, ...]
    signals: tuple[int, ...]
    limit_s: float
    dark_s: float
    more: tuple[str, ...]
    left: tuple[str, ...]
    released: bool
    hosted: bool
    posix: bool


def code_after(number: int) -> int:
    """Return the exit code of a process that was ended by a signal.

    Python ends itself by SIGINT again after Ctrl-C, as shells expect. SIGKILL cannot
    be answered.

    >>> code_after(15), code_after(2)
    (143, -2)
    """
    answered = number not in {INTERRUPT, KILL}
    return 128 + number if answered else -number


def _case(fields: dict[str, Any]) -> ExitCase:
    signals = tuple(number_of(name) for name in fields.pop("signals", ()))
    return ExitCase(
        code=fields.pop("code", code_after(signals[0]) if signals else 0),
        cores=tuple(Core(name) for name in fields.pop("cores", list(Core))),
        signals=signals,
        limit_s=fields.pop("limit_s", 3.0),
        dark_s=fields.pop("dark_s", 0.2),
        more=tuple(fields.pop("more", ())),
        left=tuple(fields.pop("left", ())),
        released=fields.pop("released", True),
        hosted=fields.pop("hosted", False),
        posix=fields.pop("posix", False),
        **fields,
    )


def _read() -> tuple[ExitCase, ...]:
    cases = tomllib.loads(TABLE.read_text(encoding="utf-8"))["case"]
    here = not WINDOWS
    return tuple(_case(case) for case in cases if here or not case.get("posix"))


CASES: tuple[ExitCase, ...] = _read()
"""Every case that can be tried on this system."""

GROUPS: tuple[str, ...] = tuple(dict.fromkeys(case.group for case in CASES))
"""The groups of cases, in order."""
