"""Which engine a core's runner works with: ours while it is ours."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymmcore_plus.mda import PMDAEngine

    from faro.microscope.engine import FaroEngine
    from faro.microscope.mmcore import CMMCorePlus

logger = logging.getLogger(__name__)


class EngineSeat:
    """The place of the engine in a core's runner.

    Our engine knows the core, and the runner, which is part of the core, knows the
    engine. Python collects no such ring, for the core is C++; so the place is left
    when the devices are released.

    Parameters
    ----------
    core, engine
        Whose runner, and what it is to work with.
    """

    def __init__(self, core: CMMCorePlus, engine: FaroEngine) -> None:
        self._core, self._engine = core, engine
        self._replaced: PMDAEngine | None = None

    def take(self) -> None:
        """Have the runner work with our engine."""
        if self._core.mda.engine is not self._engine:
            self._replaced = self._core.mda.set_engine(self._engine)
            logger.info("engine %s replaced by ours", type(self._replaced).__name__)

    def leave(self) -> None:
        """Give the runner what it had before; a run that hangs keeps ours."""
        if self._replaced is not None and self._core.mda.engine is self._engine:
            with suppress(RuntimeError):
                self._core.mda.set_engine(self._replaced)
