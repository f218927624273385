"""The one door to pymmcore-plus; going through it leaves the process as it was."""

from __future__ import annotations

import gc
import locale
import logging
import re
import sys
import time
import warnings
import weakref
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faro.errors import HardwareError
from faro.settings import environment_as_found
from faro.system.facts import LIBRARIES_ALONG_PATH
from faro.system.memory import make_immortal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


@contextmanager
def _process_as_found() -> Iterator[None]:
    """Undo what importing pymmcore-plus does to logging and warning filters.

    By itself it sets the root logger to DEBUG, writes a DEBUG file into the user's
    data folder and prints to stderr. If somebody else imported it before, its
    set-up is theirs and stays.
    """
    if "pymmcore_plus" in sys.modules:
        yield
        return
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    theirs = logging.getLogger("pymmcore-plus")
    with warnings.catch_warnings():
        try:
            yield
        finally:
            root.setLevel(level)
            root.handlers[:] = handlers
            for handler in theirs.handlers[:]:
                theirs.removeHandler(handler)
                handler.close()
            theirs.propagate = True
            theirs.setLevel(logging.WARNING)


with _process_as_found():
    from pymmcore_plus import (
        CMMCorePlus,
        DeviceInitializationState,
        DeviceType,
        find_micromanager,
    )
    from pymmcore_plus.experimental import unicore
    from pymmcore_plus.experimental.unicore import UniMMCore
    from pymmcore_plus.mda import MDAEngine, SkipEvent

__all__ = [
    "LEAST_MB",
    "CMMCorePlus",
    "DeviceType",
    "MDAEngine",
    "SkipEvent",
    "UniMMCore",
    "adapter_folder",
    "check_devices",
    "check_numeric_locale",
    "device_labels",
    "drop_load_errors",
    "force_numeric_locale",
    "keep_for_ever",
    "load_configuration",
    "new_core",
    "silence",
    "touchable_labels",
    "unicore",
]

logger = logging.getLogger(__name__)

CORE_LABEL = "Core"
LEAST_MB = 16
"""Of images, until a camera is known; see `faro.microscope.buffer`."""
MAY_BE_IN_USE = re.compile(
    r"in use|busy|denied|already open|did not initialise", re.IGNORECASE
)


def _path_as_found() -> AbstractContextManager[None]:
    """Keep the adapters' folder out of PATH, where nothing is looked for along it.

    Windows looks there for the libraries of device adapters.
    """
    return nullcontext() if LIBRARIES_ALONG_PATH else environment_as_found()


def adapter_folder() -> Path | None:
    """Return the folder of device adapters that pymmcore-plus finds, if any."""
    with _path_as_found():
        found = find_micromanager()
    return None if found is None else Path(found)


def check_numeric_locale() -> None:
    """Raise HardwareError if numbers are written with anything but a point.

    Under a decimal-comma locale the device layer reads 7.5 ms as 7 ms.
    """
    point = str(locale.localeconv()["decimal_point"])
    if point != ".":
        problem = f"Numbers are written with {point!r} (LC_NUMERIC of this process)."
        remedy = 'Call locale.setlocale(locale.LC_NUMERIC, "C") before any light.'
        raise HardwareError(problem, remedy=remedy)


def force_numeric_locale() -> None:
    """Make the device layer read and write numbers with a point."""
    locale.setlocale(locale.LC_NUMERIC, "C")
    check_numeric_locale()


def new_core(
    *,
    python_devices: bool = False,
    micromanager_path: str | Path | None = None,
    parallel_init: bool = True,
) -> CMMCorePlus:
    """Return a core with nothing loaded.

    Parameters
    ----------
    python_devices
        Whether devices written in Python can be loaded (a ``UniMMCore``).
    micromanager_path
        Folder of the device adapters; None for the one pymmcore-plus finds.
    parallel_init
        Whether devices may be initialised side by side.
    """
    force_numeric_locale()
    kind = UniMMCore if python_devices else CMMCorePlus
    path = None if micromanager_path is None else str(micromanager_path)
    with _path_as_found():
        core = kind(path)
    core.enableFeature("ParallelDeviceInitialization", parallel_init)
    core.setCircularBufferMemoryFootprint(LEAST_MB)
    return core


def device_labels(core: CMMCorePlus) -> tuple[str, ...]:
    """Return the labels of the loaded devices, without the core itself."""
    return tuple(label for label in core.getLoadedDevices() if label != CORE_LABEL)


def touchable_labels(core: CMMCorePlus) -> frozenset[str]:
    """Return the labels of the devices that are initialised, or were tried to be."""
    untried = DeviceInitializationState.Uninitialized
    state_of = core.getDeviceInitializationState
    return frozenset(x for x in device_labels(core) if state_of(x) != untried)


def drop_load_errors(core: CMMCorePlus) -> None:
    """Drop the errors that loading Python devices left behind.

    Each is in a cycle with the frames of its callers, and so keeps the microscope
    from being released when the last reference to it is dropped.
    """
    if isinstance(core, UniMMCore) and device_labels(core):
        gc.collect()


def check_devices(core: CMMCorePlus) -> None:
    """Raise HardwareError naming every loaded device that is not initialised.

    A ``UniMMCore`` swallows the errors of Python devices; a device that refused
    would otherwise look as if it had been loaded.
    """
    states = {
        label: core.getDeviceInitializationState(label) for label in device_labels(core)
    }
    good = DeviceInitializationState.InitializedSuccessfully
    bad = {label: state for label, state in states.items() if state != good}
    if bad:
        names = ", ".join(f"{label!r} ({state.name})" for label, state in bad.items())
        problem = f"These devices are loaded but did not initialise: {names}."
        remedy = "Switch them on, end other programs that hold them, and load again."
        raise HardwareError(problem, remedy=remedy)


def load_configuration(
    core: CMMCorePlus, cfg: str | Path, again_after_s: float = 1.0
) -> None:
    """Load a Micro-Manager configuration and check every device.

    A device that is in use, or does not initialise, is tried once more: a program
    that held it may just be ending.

    Parameters
    ----------
    core
        The core to load into; what it held is unloaded.
    cfg
        Path of the file, or its name in the folder of the device adapters.
    again_after_s
        Pause before the second try.

    Raises
    ------
    HardwareError
        If the file is missing, or a device did not load or initialise. Nothing
        stays loaded then.
    """
    check_numeric_locale()
    try:
        _load(core, cfg)
    except HardwareError as error:
        if not MAY_BE_IN_USE.search(error.problem):
            raise
        logger.warning("%s Trying once more.", error.problem)
        time.sleep(again_after_s)
        _load(core, cfg)


def _load(core: CMMCorePlus, cfg: str | Path) -> None:
    try:
        core.loadSystemConfiguration(cfg)
        check_devices(core)
    except FileNotFoundError as error:
        problem = f"There is no configuration file {str(cfg)!r}."
        remedy = "Give its full path, or one relative to the Micro-Manager folder."
        raise HardwareError(problem, remedy=remedy) from error
    except (HardwareError, RuntimeError, OSError, ValueError) as error:
        _unload_quietly(core)
        if isinstance(error, HardwareError):
            raise
        problem = f"Loading {str(cfg)!r} failed: {error}."
        remedy = "Check that the devices are on and not held by another program."
        raise HardwareError(problem, remedy=remedy) from error


def _unload_quietly(core: CMMCorePlus) -> None:
    try:
        core.unloadAllDevices()
    except Exception:
        logger.warning("Unloading after a failed load failed too.", exc_info=True)


def silence(core: CMMCorePlus) -> None:
    """Stop the core from calling back into Python.

    MMCore delivers callbacks on a thread of its own. One that is delivered while
    the interpreter ends aborts the process. Not to be called from a callback.
    """
    native: Any = next(k for k in type(core).__mro__ if k.__name__ == "CMMCore")
    native.registerCallback(core, None)


def keep_for_ever(core: CMMCorePlus) -> None:
    """Never destroy ``core``: its destructor would hang or end the process.

    For a core that still holds a device which refuses to be unloaded.
    """
    make_immortal(core)
    registry = getattr(weakref.finalize, "_registry", {})
    for finalizer in list(registry):
        peeked = finalizer.peek()
        if peeked is not None and peeked[0] is core:
            finalizer.detach()
