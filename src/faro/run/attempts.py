"""Calls of components, which may raise anything: a failure is a record, not an end."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from faro.run.jobs import BackgroundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.model import Stack
    from faro.run.jobs import FrameJob
    from faro.run.notices import Notices
    from faro.run.recorder import Recorder

Result = TypeVar("Result")


class Attempts:
    """Calls components on the stack of a job; any thread.

    Parameters
    ----------
    recorder, notices
        Of the run; both hear of a failure.
    """

    def __init__(self, recorder: Recorder, notices: Notices) -> None:
        self._recorder, self._notices = recorder, notices

    def make(
        self, job: FrameJob, stage: str, call: Callable[[Stack], Result | None]
    ) -> Result | None:
        """Return ``call(stack)``, or None after recording what it raised."""
        job.stage = stage
        try:
            return call(job.stack)
        except Exception as error:  # noqa: BLE001  a plug-in may raise anything
            self.failed(job, stage, error)
            return None

    def failed(self, job: FrameJob, stage: str, error: Exception) -> None:
        """Record that ``stage`` failed on a frame."""
        stack, job.failed_at = job.stack, stage
        failure = BackgroundError.of(
            error, stage=stage, fov=stack.fov, timestep=stack.timestep
        )
        self._recorder.error(failure)
        self._notices.tell(
            self._notices.failed.emit, stack.timestep, stack.fov, stage, str(error)
        )
