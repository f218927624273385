"""Microscopes: real, simulated and replayed; names are loaded when first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faro.microscope.abstract import AbstractMicroscope
    from faro.microscope.demo import MMDemo
    from faro.microscope.dmd import DMD
    from faro.microscope.pymmcore import PyMMCoreMicroscope
    from faro.microscope.replay import ReplayMicroscope
    from faro.microscope.simulated import SimulatedMicroscope

_HOMES = {
    "AbstractMicroscope": "faro.microscope.abstract",
    "DMD": "faro.microscope.dmd",
    "MMDemo": "faro.microscope.demo",
    "PyMMCoreMicroscope": "faro.microscope.pymmcore",
    "ReplayMicroscope": "faro.microscope.replay",
    "SimulatedMicroscope": "faro.microscope.simulated",
}

__all__ = [
    "DMD",
    "AbstractMicroscope",
    "MMDemo",
    "PyMMCoreMicroscope",
    "ReplayMicroscope",
    "SimulatedMicroscope",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    message = f"module 'faro.microscope' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
