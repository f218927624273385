"""A simulated optogenetic microscope: cells that answer to light, real devices."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faro.microscope.simulated.bench import BenchSettings
    from faro.microscope.simulated.flaws import Fault, FlawSettings
    from faro.microscope.simulated.optics import OpticsSettings
    from faro.microscope.simulated.rig import SimulatedMicroscope
    from faro.microscope.simulated.truth import Truth
    from faro.microscope.simulated.world import World, WorldSettings

_HOMES = {
    "BenchSettings": "bench",
    "Fault": "flaws",
    "FlawSettings": "flaws",
    "OpticsSettings": "optics",
    "SimulatedMicroscope": "rig",
    "Truth": "truth",
    "World": "world",
    "WorldSettings": "world",
}

__all__ = [
    "BenchSettings",
    "Fault",
    "FlawSettings",
    "OpticsSettings",
    "SimulatedMicroscope",
    "Truth",
    "World",
    "WorldSettings",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
