"""Rigs by name: from installed packages, or from a module."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from faro.errors import ContractError, FaroError, HardwareError
from faro.microscope.abstract import AbstractMicroscope
from faro.microscope.host import host

GROUP = "faro.rigs"
NOT_LOADED = (ImportError, AttributeError, ValueError)


class UnknownRigError(FaroError, LookupError):
    """No rig goes by this name."""


def known_rigs() -> dict[str, str]:
    """Return the installed rigs: name to ``module:Class``, by name.

    Raises
    ------
    UnknownRigError
        If two packages give different rigs of one name.
    """
    found: dict[str, str] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        before = found.setdefault(entry.name, entry.value)
        if before != entry.value:
            problem = f"Two rigs are called {entry.name!r}: {before} and {entry.value}."
            remedy = "Uninstall one of the packages."
            raise UnknownRigError(problem, remedy=remedy)
    return found


def find_rig(name: str) -> type[AbstractMicroscope]:
    """Return the class of a rig; no device is touched.

    Parameters
    ----------
    name
        An installed rig, in any case of letters, or ``module:Class``.

    Raises
    ------
    UnknownRigError
        If there is none, or its module does not load; the error lists those there are.
    ContractError
        If it is no microscope.
    """
    known = known_rigs()
    value = name
    if ":" not in name:
        matches = [v for k, v in known.items() if k.casefold() == name.casefold()]
        if not matches:
            problem = f"No rig is called {name!r}."
            raise UnknownRigError(problem, remedy=_choice(known))
        value = matches[0]
    module, _, attribute = value.partition(":")
    try:
        rig: object = getattr(import_module(module), attribute)
    except NOT_LOADED as error:
        problem = f"The rig {name!r} ({value}) does not load: {error}."
        raise UnknownRigError(problem, remedy=_choice(known)) from error
    if not (isinstance(rig, type) and issubclass(rig, AbstractMicroscope)):
        problem = f"{value} is no microscope, but {rig!r}."
        remedy = "Name a class that inherits from faro.PyMMCoreMicroscope."
        raise ContractError(problem, remedy=remedy)
    return rig


def _choice(known: dict[str, str]) -> str:
    names = ", ".join(known) or "none"
    return f"Use module:Class, or one of those installed: {names}."


def open_rig(
    name: str | None = None, config: str | Path | None = None, *, hosted: bool = False
) -> AbstractMicroscope:
    """Load the devices of a rig and return it.

    Parameters
    ----------
    name
        See `find_rig`; None for the bare configuration, or for the demo devices.
        A module may lie in the working folder.
    config
        Micro-Manager configuration; None for the rig's own.
    hosted
        Load them in a process of its own, which outlives this one.

    Raises
    ------
    UnknownRigError
        If there is no such rig.
    HardwareError
        If the devices do not load, or the rig takes no configuration.
    """
    from faro.rigs.declared import DeclaredRig  # noqa: PLC0415  loads Micro-Manager

    here = str(Path.cwd())
    if name is not None and ":" in name and here not in sys.path:
        sys.path.append(here)
    bare = name is None and config is not None
    rig = DeclaredRig if bare else find_rig(name or "demo")
    if config is not None and not issubclass(rig, DeclaredRig):
        problem = f"The rig {name!r} takes no other configuration."
        remedy = "Leave out the name of the rig, or the configuration."
        raise HardwareError(problem, remedy=remedy)
    settings = {} if config is None else {"config": str(config)}
    return host(rig, **settings) if hosted else rig(**settings)
