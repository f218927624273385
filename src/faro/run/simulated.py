"""A whole run on the simulated microscope, in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faro.microscope.simulated import SimulatedMicroscope
from faro.run.controller import Controller
from faro.storage import OmeZarrWriter, open_run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from faro.experiment import RTMEvent
    from faro.run.limits import RunLimits
    from faro.run.pipeline import ImageProcessingPipeline
    from faro.storage import Run


def simulated_run(
    folder: str | Path,
    events: Iterable[RTMEvent],
    pipeline: ImageProcessingPipeline | None = None,
    *,
    limits: RunLimits | None = None,
    **microscope: Any,
) -> Run:
    """Carry out an experiment on simulated cells, and return the stored run.

    Parameters
    ----------
    folder
        Where the run is stored, as OME-Zarr.
    events, pipeline, limits
        As for `faro.Controller`.
    **microscope
        As for `faro.SimulatedMicroscope`: ``seed``, ``time_scale``, ``responses``,
        ``flaws``, ``truth`` and others.

    Raises
    ------
    FaroError
        As `faro.Controller.run_experiment` does.
    """
    with SimulatedMicroscope(**microscope) as simulated:
        writer = OmeZarrWriter(folder)
        controller = Controller(simulated, pipeline, writer=writer, limits=limits)
        controller.run_experiment([*events])
    return open_run(folder)
