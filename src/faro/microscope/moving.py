"""Sends the stages where an event wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faro.microscope.demands import needed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from useq import MDAEvent

    from faro.microscope.mmcore import CMMCorePlus
    from faro.microscope.waiting import Touched

    Move = tuple[str, Callable[[], object]]


def moves_of(
    core: CMMCorePlus, event: MDAEvent, shift_um: float | None, touched: Touched
) -> Iterator[Move]:
    """Yield the moves that ``event`` asks for, each with what it is; not done yet.

    Parameters
    ----------
    shift_um
        How much further the focus is than planned; None where z is not driven.
    touched
        Told of every stage and its target when its move was carried out.

    Raises
    ------
    HardwareError
        If there is no such stage.
    """
    if event.x_pos is not None or event.y_pos is not None:
        label = needed(core.getXYStageDevice(), "XY stage", event)
        x_um, y_um = event.x_pos, event.y_pos
        if x_um is None or y_um is None:
            here_x, here_y = core.getXYPosition(label)
            x_um = here_x if x_um is None else x_um
            y_um = here_y if y_um is None else y_um
        target = (float(x_um), float(y_um))
        what = f"Moving {label!r} to {target} um"
        yield what, lambda: core.setXYPosition(label, *target)
        touched.devices.add(label)
        touched.targets_um[label] = target
    if event.z_pos is not None and shift_um is not None:
        drive = needed(core.getFocusDevice(), "focus drive", event)
        z_um = float(event.z_pos) + shift_um
        what = f"Moving {drive!r} to {z_um} um"
        yield what, lambda: core.setPosition(drive, z_um)
        touched.devices.add(drive)
        touched.targets_um[drive] = (z_um,)
