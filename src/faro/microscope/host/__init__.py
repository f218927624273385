"""A microscope in a process of its own, which outlives the program that drives it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faro.microscope.host.hosted import HostedMicroscope, host
    from faro.microscope.host.spec import NotHostableError

_HOMES = {
    "HostedMicroscope": "hosted",
    "NotHostableError": "spec",
    "host": "hosted",
}

__all__ = ["HostedMicroscope", "NotHostableError", "host"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
