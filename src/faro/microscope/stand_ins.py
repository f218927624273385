"""Methods of a core that a session takes over, for who uses the core directly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from faro.microscope.mmcore import check_devices, drop_load_errors

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from useq import MDAEvent

    from faro.microscope.abstract import RunThread
    from faro.microscope.loading import LoadGate
    from faro.microscope.mmcore import CMMCorePlus
    from faro.protocols import FrameCallback, MissingCallback

NAMES = (
    "run_mda",
    "loadSystemConfiguration",
    "initializeAllDevices",
    "unloadAllDevices",
)


class RunsAndLoads(Protocol):
    """What a session does for a core."""

    @property
    def gate(self) -> LoadGate:
        """Knows who loads devices."""
        ...

    def run(
        self,
        events: Iterable[MDAEvent],
        on_frame: FrameCallback,
        on_missing: MissingCallback,
        **output: object,
    ) -> RunThread:
        """Start taking ``events``."""
        ...

    def loading(self) -> AbstractContextManager[None]:
        """Load devices inside."""
        ...


def _nobody(*_: object) -> None:
    """Nobody is told but the core's own listeners."""


def take_over(core: CMMCorePlus, session: RunsAndLoads) -> None:
    """Have ``core`` run and load through ``session``, until `give_back`.

    A run started by ``core.run_mda`` is then on a daemon thread, can be ended while
    its iterator blocks, and ends in the dark: the core's own thread would keep the
    process from ending. A load is then waited for by a release, and checked: a
    ``UniMMCore`` swallows the errors of Python devices. It also loads line by line,
    in Python: from the initialisation on, the sample can be made dark.
    """
    drop_load_errors(core)
    load_itself, gate = core.loadSystemConfiguration, session.gate
    initialize_itself, unload_itself = core.initializeAllDevices, core.unloadAllDevices

    def run_mda(
        events: Iterable[MDAEvent], *, block: bool = False, **output: object
    ) -> RunThread:
        thread = session.run(events, _nobody, _nobody, **output)
        if block:
            thread.join()
        return thread

    def load(fileName: str | Path = "MMConfig_demo.cfg") -> None:  # noqa: N803  the core's name
        with session.loading():
            try:
                with gate.changing():
                    load_itself(fileName)
            finally:
                drop_load_errors(core)
            check_devices(core)

    def initialize() -> None:
        gate.settle()
        initialize_itself()

    def unload() -> None:
        with gate.changing():
            unload_itself()

    instead = (run_mda, load, initialize, unload)
    vars(core).update(zip(NAMES, instead, strict=True))


def give_back(core: CMMCorePlus) -> None:
    """Let ``core`` do as it does by itself. Safe to call twice."""
    for name in NAMES:
        vars(core).pop(name, None)
