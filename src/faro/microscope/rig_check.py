"""What is wrong with a rig itself, and the shape of the frames that it really gives."""

from __future__ import annotations

import threading
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
FRAME_S = 10.0
"""How long the first frame may take."""


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
    core: CMMCorePlus, go_dark: Callable[[str], object], deadline_s: float = FRAME_S
) -> tuple[int, int] | None:
    """Return the (Y, X) of a frame that is taken now, without light.

    None if there is no camera. The shutter stays shut; exposure and autoshutter are
    afterwards as they were.

    Raises
    ------
    HardwareError
        If the camera gives no frame, not within ``deadline_s``, or is in live mode.
    """
    camera = core.getCameraDevice()
    if not camera:
        return None
    if core.isSequenceRunning():
        problem = f"{camera!r} is in live mode."
        raise HardwareError(problem, remedy="Stop the live view before the run.")
    auto, exposure_ms = core.getAutoShutter(), core.getExposure()
    go_dark("a first frame is taken in the dark")
    try:
        core.setAutoShutter(False)
        core.setExposure(min(exposure_ms, SHORT_MS))
        found = _first_frame(core, deadline_s)
    finally:
        core.setExposure(exposure_ms)
        core.setAutoShutter(auto)
    if isinstance(found, str):
        remedy = "Look at the camera in Micro-Manager; is it triggered from outside?"
        problem = f"{camera!r} gave no frame: {found}."
        raise HardwareError(problem, remedy=remedy)
    return found


def _first_frame(core: CMMCorePlus, deadline_s: float) -> tuple[int, int] | str:
    """Return the (Y, X) of one frame, or why there is none."""
    found: list[tuple[int, int] | str] = []

    def snap() -> None:
        try:
            core.snapImage()
            height, width = core.getImage().shape[:2]
            found.append((int(height), int(width)))
        except Exception as error:  # noqa: BLE001  what an adapter raises is its own
            found.append(str(error))

    thread = threading.Thread(target=snap, name="faro-first-frame", daemon=True)
    thread.start()
    thread.join(deadline_s)
    return found[0] if found else f"nothing came within {deadline_s:g} s"
