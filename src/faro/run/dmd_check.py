"""One spot before a run: whether masks would fall where they should."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faro.errors import FaroError, Problem, RefusedError
from faro.microscope.abstract import AbstractMicroscope
from faro.microscope.calibration_run import check_dmd
from faro.run.deciders import masked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faro.experiment import RTMEvent
    from faro.protocols import Microscope
    from faro.run.limits import RunLimits
    from faro.run.pipeline import ImageProcessingPipeline

ASKED = "limits.check_dmd"


def spot_checked(
    microscope: Microscope,
    events: Iterable[RTMEvent],
    pipeline: ImageProcessingPipeline | None,
    limits: RunLimits,
) -> dict[str, Any]:
    """Show one spot if the limits ask for it and masks will be fired.

    Returns
    -------
    What was found, as a note of the run: ``dmd_check`` with ``channel``, ``off_px`` and
    ``exposure_ms`` of the spot. Empty where there was nothing to check.

    Raises
    ------
    RefusedError
        If the spot is off by more than 2 px or was not seen, or the microscope cannot
        show one. Nothing else was lit.
    """
    channels = [c for event in events for c in event.stim_channels]
    fires = pipeline is not None and masked(pipeline.deciders)
    if not (limits.check_dmd and channels and fires):
        return {}
    channel = channels[0]
    if not isinstance(microscope, AbstractMicroscope):
        what = f"{type(microscope).__name__} cannot show a spot from here."
        remedy = "Leave it out, and check with: faro calibrate --check."
        raise RefusedError([Problem(ASKED, what, remedy)])
    try:
        off_px = check_dmd(microscope, channel)
    except FaroError as error:
        raise RefusedError([Problem("dmd", error.problem, error.remedy)]) from error
    facts = {"channel": channel.config, "off_px": round(off_px, 3)}
    return {"dmd_check": {**facts, "exposure_ms": channel.exposure}}
