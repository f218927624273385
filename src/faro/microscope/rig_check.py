"""What is wrong with a rig itself, and the shape of the frames that it really gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faro.errors import HardwareError, Problem
from faro.microscope.mmcore import device_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faro.microscope.levels import Level
    from faro.microscope.mmcore import CMMCorePlus
    from faro.model import HardwareFacts
    from faro.protocols import MaskWarp

SHORT_MS = 10.0


def rig_problems(
    core: CMMCorePlus,
    facts: HardwareFacts,
    dmd: MaskWarp | None,
    powers: Mapping[str, Level],
) -> tuple[Problem, ...]:
    """Return what is wrong with a rig itself; an empty tuple if nothing is.

    Parameters
    ----------
    core
        Holds the devices.
    facts
        Read now.
    dmd
        The calibrated DMD, None where there is none.
    powers
        The declared light levels: preset to (device, property).
    """
    problems = []
    if facts.channel_group not in facts.presets:
        known = ", ".join(facts.presets) or "none"
        what = f"no config group {facts.channel_group!r}."
        problems.append(Problem("CHANNEL_GROUP", what, f"Use one of: {known}."))
    if dmd is not None and dmd.shape != facts.slm_shape:
        what = f"made for {dmd.shape}, the SLM is {facts.slm_shape} (Y, X)."
        problems.append(Problem("dmd", what, "Calibrate it for this SLM."))
    presets = {name for group in facts.presets.values() for name in group}
    for preset, (device, prop) in powers.items():
        where = f"POWER_PROPERTIES/{preset}"
        if preset not in presets:
            problems.append(Problem(where, "no such preset.", "Correct the name."))
        if device not in device_labels(core):
            what = f"no device {device!r}."
            problems.append(Problem(where, what, "Correct the label."))
        elif not core.hasProperty(device, prop):
            what = f"{device!r} has no property {prop!r}."
            problems.append(Problem(where, what, "Correct the property."))
    return tuple(problems)


def shape_in_the_dark(
    core: CMMCorePlus, go_dark: Callable[[str], object]
) -> tuple[int, int] | None:
    """Return the (Y, X) of a frame that is taken now, without light.

    None if there is no camera. The shutter stays shut; exposure and autoshutter are
    afterwards as they were.

    Raises
    ------
    HardwareError
        If the camera gives no frame.
    """
    if not core.getCameraDevice():
        return None
    auto, exposure_ms = core.getAutoShutter(), core.getExposure()
    go_dark("a first frame is taken in the dark")
    try:
        core.setAutoShutter(False)
        core.setExposure(min(exposure_ms, SHORT_MS))
        core.snapImage()
        height, width = core.getImage().shape[:2]
    except RuntimeError as error:
        problem = f"{core.getCameraDevice()!r} gave no frame: {error}."
        remedy = "Look at the camera in Micro-Manager."
        raise HardwareError(problem, remedy=remedy) from error
    finally:
        core.setExposure(exposure_ms)
        core.setAutoShutter(auto)
    return int(height), int(width)
