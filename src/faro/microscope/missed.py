"""Why an event gave no frame."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from faro.errors import HardwareError

if TYPE_CHECKING:
    from collections.abc import Iterator


class DeviceFailedError(HardwareError):
    """A device refused at every try, or was not ready in time; a later try may do."""


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


@contextmanager
def missed_if_refused() -> Iterator[None]:
    """Miss the frame where a device refuses inside the block."""
    try:
        yield
    except DeviceFailedError as error:
        raise MissedFrame(error) from error
