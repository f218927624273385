"""Why an event gave no frame."""

from __future__ import annotations

from typing import Self

from faro.errors import HardwareError


class MissedFrame(Exception):  # noqa: N818  caught by the engine, never an error
    """An event gave no frame; the engine reports ``cause`` and goes on."""

    def __init__(self, cause: HardwareError) -> None:
        super().__init__(str(cause))
        self.cause = cause

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Return one for a camera that failed."""
        problem = f"The camera gave no image: {error}."
        remedy = "Check the camera; the other frames keep their places."
        return cls(HardwareError(problem, remedy=remedy))

    @classmethod
    def cancelled(cls) -> Self:
        """Return one for a run that was cancelled meanwhile."""
        problem = "The run was cancelled before the frame was complete."
        return cls(HardwareError(problem, remedy=""))
