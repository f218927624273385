"""Calibrating a DMD at the microscope: spots are shown, seen, and fitted."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import useq

from faro.errors import HardwareError
from faro.microscope.calibration import Calibration, Conditions, Matrix, carried
from faro.microscope.calibration_fit import Kind, fitted
from faro.microscope.calibration_spots import (
    Points,
    found_spot,
    planned_spots,
    spot_pattern,
)
from faro.microscope.dmd import DMD, CalibrationError, inverse_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from faro.experiment import Channel
    from faro.microscope.abstract import AbstractMicroscope, RunThread
    from faro.model import HardwareFacts
    from faro.model.frame import PixelArray

logger = logging.getLogger(__name__)

Pattern: TypeAlias = "npt.NDArray[np.bool_]"
"""(Y, X) in mirrors."""
Look: TypeAlias = Callable[["Sequence[Pattern]"], "list[PixelArray]"]
"""Shows patterns and returns the frame (Y, X) of each."""

LIMIT_PX = 2.0
"""A spot that lies further off than this means that a calibration does not hold."""
FRAME_DEADLINE_S = 30.0
WAKE_S = 0.2
STOP_S = 5.0
ATTEMPTS = 4
"""Rounds of spots over the whole DMD, at most."""
ROUGHLY = 0.4
"""Part of the spots of these rounds that must agree."""


@dataclass(frozen=True, slots=True)
class SpotPlan:
    """How spots are shown.

    Attributes
    ----------
    count
        Spots at least, in each round: over the whole DMD until enough were seen, then
        where the camera looks.
    radius_px
        Of a spot, in mirrors.
    seed
        Of their places.
    """

    count: int = 25
    radius_px: float = 5.0
    seed: int = 0


def calibrated(
    look: Look,
    conditions: Conditions,
    plan: SpotPlan | None = None,
    *,
    kind: Kind = "affine",
    on_value: int = 255,
) -> Calibration:
    """Return a calibration from what ``look`` returns for each pattern.

    Raises
    ------
    CalibrationError
        If too few spots are seen or agree.
    """
    plan = plan or SpotPlan()
    shown, seen, rough = _rough(look, conditions, plan)
    more_shown, more_seen = _seen(
        look, _where_the_camera_looks(rough, conditions, plan), conditions, plan
    )
    shown, seen = np.vstack([shown, more_shown]), np.vstack([seen, more_seen])
    matrix, used, residuals_px = fitted(shown, seen, kind, plan.seed)
    now = datetime.now(tz=UTC).isoformat(timespec="seconds")
    found = Calibration(
        matrix, kind, shown, seen, used, residuals_px, conditions, now, on_value
    )
    logger.info(
        "DMD calibrated: %d of %d spots, median %.2f px, largest %.2f px",
        used.sum(),
        len(used),
        found.median_px,
        found.largest_px,
    )
    return found


def _rough(
    look: Look, conditions: Conditions, plan: SpotPlan
) -> tuple[Points, Points, Matrix]:
    """Return spots shown and seen, (n, 2), and a first affine, camera to mirror.

    The camera may see a small part of the DMD only, so spots are shown all over it,
    again elsewhere, until enough were seen.
    """
    margin_px = plan.radius_px + 1.0
    shown = seen = np.empty((0, 2))
    matrix = np.eye(3)
    for attempt in range(ATTEMPTS):
        seed = plan.seed + attempt
        spots = planned_spots(conditions.slm_shape, plan.count, seed, margin_px)
        a, b = _seen(look, spots, conditions, plan)
        shown, seen = np.vstack([shown, a]), np.vstack([seen, b])
        try:
            matrix, _, _ = fitted(shown, seen, "affine", plan.seed, ROUGHLY)
        except CalibrationError:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            break
    return shown, seen, matrix


def _where_the_camera_looks(
    rough: Matrix, conditions: Conditions, plan: SpotPlan
) -> Points:
    """Return spots (n, 2) on the DMD, spread over what the camera sees of it."""
    scale = float(np.sqrt(abs(np.linalg.det(rough[:2, :2]))))
    inside_px = 2.0 * plan.radius_px / max(scale, 1e-6) + 4.0
    seed = plan.seed + ATTEMPTS
    points = planned_spots(conditions.image_shape, plan.count, seed, inside_px)
    mirrors = np.rint(carried(rough, points))
    margin_px = plan.radius_px + 1.0
    limits = np.array(conditions.slm_shape[::-1]) - margin_px
    inside = ((mirrors >= margin_px) & (mirrors < limits)).all(axis=1)
    return mirrors[inside]


def _seen(
    look: Look, spots: Points, conditions: Conditions, plan: SpotPlan
) -> tuple[Points, Points]:
    """Show spots (n, 2) one by one; return those that were seen, and where, (m, 2)."""
    shape = conditions.slm_shape
    dark = np.zeros(shape, np.bool_)
    patterns = [spot_pattern(shape, spot, plan.radius_px) for spot in spots]
    frames = look([dark, *patterns])
    found = [found_spot(frame, frames[0]) for frame in frames[1:]]
    pairs = [(a, b) for a, b in zip(spots, found, strict=True) if b is not None]
    if not pairs:
        return np.empty((0, 2)), np.empty((0, 2))
    shown, seen = (np.array(side, np.float64) for side in zip(*pairs, strict=True))
    return shown, seen


def calibrate(
    microscope: AbstractMicroscope,
    channel: Channel,
    plan: SpotPlan | None = None,
    *,
    kind: Kind = "affine",
) -> Calibration:
    """Show spots with ``channel``, see where they fall, and return the calibration.

    The sample is lit at some fifty spots, each for one exposure. Whatever happens, the
    sample is dark afterwards and the listeners of the microscope are as before; the
    microscope's DMD is not replaced: assign ``microscope.dmd = result.dmd()``.

    Parameters
    ----------
    microscope
        Loaded, not acquiring.
    channel
        Stimulation channel with exposure, and power if it can be set.
    plan, kind
        See `SpotPlan`; ``"projective"`` for an oblique projection.

    Raises
    ------
    CalibrationError
        If too few spots are seen or agree.
    HardwareError
        If there is no DMD, or a frame does not come.
    """
    facts = microscope.facts()
    conditions = conditions_from(facts, microscope.name)

    def look(patterns: Sequence[Pattern]) -> list[PixelArray]:
        return frames_of(microscope, channel, patterns)

    on_value = facts.slm_on_value
    return calibrated(look, conditions, plan, kind=kind, on_value=on_value)


def check_spot(
    microscope: AbstractMicroscope,
    channel: Channel,
    calibration: Calibration,
    limit_px: float = LIMIT_PX,
) -> float:
    """Show one spot in the middle of the image; return how far off it is, px.

    Raises
    ------
    CalibrationError
        If it is not seen, is off by more than ``limit_px``, or the calibration was
        made under other conditions.
    """
    calibration.require(conditions_of(microscope))
    return _spot_off_px(microscope, channel, calibration.matrix, limit_px)


def check_dmd(
    microscope: AbstractMicroscope, channel: Channel, limit_px: float = LIMIT_PX
) -> float:
    """Show one spot by the microscope's own DMD; return how far off it is, px.

    The sample is lit there for one exposure, where the stage is now.

    Raises
    ------
    CalibrationError
        If there is no calibrated DMD, the spot is not seen, or it is off by more than
        ``limit_px``.
    """
    dmd = microscope.dmd
    if not isinstance(dmd, DMD):
        problem = f"{microscope.name} has no calibrated DMD."
        raise CalibrationError(problem, remedy="Calibrate it: faro calibrate.")
    return _spot_off_px(microscope, channel, dmd.affine, limit_px)


def _spot_off_px(
    microscope: AbstractMicroscope,
    channel: Channel,
    matrix: Matrix,
    limit_px: float,
) -> float:
    """Return how far off a spot is that ``matrix`` puts in the middle of the image."""
    now = conditions_of(microscope)
    height, width = now.image_shape
    middle = np.array([[(width - 1) / 2, (height - 1) / 2]])
    mirror = np.rint(carried(matrix, middle))
    pattern = spot_pattern(now.slm_shape, mirror[0], SpotPlan().radius_px)
    dark, frame = frames_of(
        microscope, channel, [np.zeros(now.slm_shape, np.bool_), pattern]
    )
    spot = found_spot(frame, dark)
    remedy = "Do not fire; calibrate again: faro calibrate."
    if spot is None:
        problem = "The spot that checks the calibration was not seen."
        raise CalibrationError(problem, remedy=remedy)
    expected = carried(inverse_of(matrix), mirror)[0]
    off_px = float(np.hypot(*(expected - spot)))
    if off_px > limit_px:
        problem = f"A spot is {off_px:.1f} px off; {limit_px:g} px are allowed."
        raise CalibrationError(problem, remedy=remedy)
    return off_px


def frames_of(
    microscope: AbstractMicroscope, channel: Channel, patterns: Sequence[Pattern]
) -> list[PixelArray]:
    """Show patterns (Y, X) in mirrors one by one; return a frame (Y, X) of each.

    Raises
    ------
    HardwareError
        If a frame does not come.
    """
    frames: list[PixelArray] = []

    def take(pixels: PixelArray, _event: object, _facts: Mapping[str, Any]) -> None:
        frames.append(np.array(pixels))

    missed: list[Exception] = []

    def missing(_event: object, error: Exception) -> None:
        missed.append(error)

    microscope.connect_frame(take)
    microscope.connect_missing(missing)
    thread: RunThread | None = None
    ends_s = time.monotonic() + FRAME_DEADLINE_S * len(patterns)
    try:
        thread = microscope.run_mda(_events(microscope, channel, patterns))
        while thread.is_alive() and time.monotonic() < ends_s:
            thread.join(WAKE_S)  # in short turns, so that Ctrl-C comes through
    finally:
        stop_taking(microscope, thread)
        microscope.disconnect_frame(take)
        microscope.disconnect_missing(missing)
        microscope.go_dark("the calibration is done")
    if thread.error is not None or len(frames) != len(patterns):
        error = thread.error or next(iter(missed), None)
        why = f": {error}" if error else ""
        problem = f"{len(frames)} of {len(patterns)} calibration frames came{why}."
        raise HardwareError(problem, remedy="See the log for what the devices said.")
    return frames


def stop_taking(microscope: AbstractMicroscope, thread: RunThread | None) -> None:
    """End an acquisition, if it is still going on, and wait for its end."""
    if thread is not None and thread.is_alive():
        microscope.cancel_mda()
        thread.join(STOP_S)


def _events(
    microscope: AbstractMicroscope, channel: Channel, patterns: Sequence[Pattern]
) -> Iterator[useq.MDAEvent]:
    """Yield one event per pattern (Y, X)."""
    group = channel.group or microscope.resolve_group(channel.config)
    power = microscope.resolve_power(channel)
    for number, pattern in enumerate(patterns):
        index: Any = {"t": number}
        yield useq.MDAEvent(
            index=index,
            channel=useq.EventChannel(config=channel.config, group=group),
            exposure=channel.exposure,
            properties=[useq.PropertyTuple(*power)] if power else None,
            slm_image=useq.SLMImage(data=pattern, exposure=channel.exposure),
        )


def conditions_of(microscope: AbstractMicroscope) -> Conditions:
    """Return what a calibration made now would hold for.

    Raises
    ------
    HardwareError
        If there is no SLM or no camera.
    """
    return conditions_from(microscope.facts(), microscope.name)


def conditions_from(facts: HardwareFacts, name: str) -> Conditions:
    """Return the same from ``facts`` of the microscope called ``name``."""
    if facts.slm_shape is None or facts.image_shape is None:
        problem = f"{name} has SLM {facts.slm!r} and camera {facts.camera!r}."
        raise HardwareError(problem, remedy="A calibration needs both.")
    return Conditions(
        device=facts.slm,
        slm_shape=facts.slm_shape,
        camera=facts.camera,
        image_shape=facts.image_shape,
        optics=dict(facts.optics),
    )
