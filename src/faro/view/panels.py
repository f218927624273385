"""Images of the cells with their outlines and the light that was fired on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from faro.errors import MissingFrameError
from faro.view.journal import MASK
from faro.view.look import LIT, OUTLINE, light_colours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faro.storage import Run
    from faro.view.numbers import Facts

Rgb: TypeAlias = npt.NDArray[np.uint8]
Colour: TypeAlias = tuple[int, int, int]
Image: TypeAlias = npt.NDArray[np.integer[Any]]

PREFERRED_LABELS = ("nuclei", "tracks", "labels", "particles")
GREY_LEVELS = 64
BRIGHTEST = 190
GAMMA = 0.65
MAX_ROWS = 6
PIXEL_BUDGET = 9 * 512 * 512


@dataclass(frozen=True, slots=True)
class Row:
    """One FOV that is shown, and why."""

    title: str
    arm: str
    fov: int


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One image.

    Attributes
    ----------
    pixels
        (Y, X, 3) uint8 red, green, blue; None where nothing was stored.
    n_cells
        Outlined cells.
    lit
        The channels whose light was fired at this timepoint, each with its colour.
    """

    row: Row
    timestep: int
    pixels: Rgb | None
    n_cells: int = 0
    lit: tuple[tuple[str, str], ...] = ()

    @property
    def alt(self) -> str:
        """What the image shows, for those who cannot see it."""
        place = f"{self.row.title}, FOV {self.row.fov}, timepoint {self.timestep}"
        if self.pixels is None:
            return f"{place}: not acquired"
        if len(self.lit) == 1:
            light = f"the lit region in {self.lit[0][1]}"
        else:
            regions = [f"{name} light in {colour}" for name, colour in self.lit]
            light = ", ".join(regions) or "no light"
        return f"{place}: {self.n_cells} cells outlined in yellow, {light}"


def rows_of(facts: Facts, *, at_most: int = MAX_ROWS) -> list[Row]:
    """Return one FOV per arm; without arms, the first FOVs."""
    arms = facts.answer.arms
    if len(arms) == 1:
        only = arms[0]
        return [
            Row(f"FOV {fov}", only.name, fov) for fov in only.fovs[: min(3, at_most)]
        ]
    return [Row(arm.title, arm.name, arm.fovs[0]) for arm in arms[:at_most]]


def moments_of(facts: Facts) -> tuple[int, ...]:
    """Return the first, a middle and the last timepoint that every FOV reached.

    The middle one is the nearest at which light was fired, if there is any.
    """
    if facts.last is None:
        return ()
    last = facts.last
    lit = {time for _, time in facts.light.fired if 0 < time < last}
    middle = min(lit, key=lambda t: (abs(2 * t - last), t), default=last // 2)
    return tuple(dict.fromkeys((0, middle, last)))


def panels_of(
    run: Run, facts: Facts, rows: Sequence[Row], moments: Sequence[int]
) -> list[list[Panel]]:
    """Return the images, one list per row, one image per moment."""
    if not run.channels or not moments:
        return []
    channel = run.channels[0]
    planes = {
        (row.fov, time): run.frame(row.fov, time, channel)
        for row in rows
        for time in moments
        if run.has(row.fov, time)
    }
    limits = contrast(list(planes.values()))
    side = _side_px(len(rows) * len(moments))
    shone, colours = facts.light.shone, light_colours(facts.light.channels)
    outlined = _label_name(run)

    def panel(row: Row, time: int) -> Panel:
        plane = planes.get((row.fov, time))
        if plane is None:
            return Panel(row, time, None)
        labels = _labels(run, outlined, row.fov, time)
        lights = []
        for light in shone.get((row.fov, time), ()):
            mask: Image | None = np.ones(plane.shape, np.uint8)
            if light.label is not None:
                mask = _labels(run, light.label, row.fov, time)
            if mask is not None:
                lights.append((mask, LIT[colours[light.channel]]))
        pixels = enlarged(overlay(scaled(plane, limits, side), labels, lights), side)
        n_cells = 0 if labels is None else len(np.unique(labels[labels != 0]))
        lit = [s.channel for s in shone.get((row.fov, time), ())]
        named = tuple((name, colours[name]) for name in lit)
        return Panel(row, time, pixels, n_cells, named)

    return [[panel(row, time) for time in moments] for row in rows]


def contrast(planes: Sequence[Image]) -> tuple[float, float]:
    """Return the grey values shown black and white, common to planes (Y, X)."""
    if not planes:
        return 0.0, 1.0
    spread = [
        np.percentile(plane[::2, ::2].astype(np.float64), (1, 99.8)) for plane in planes
    ]
    low, high = np.median(spread, axis=0)
    return float(low), float(max(high, low + 1))


def scaled(
    plane: Image, limits: tuple[float, float], side_px: int
) -> npt.NDArray[np.uint8]:
    """Return a plane (Y, X) as (Y, X) uint8 whose longer side is ``side_px`` at most.

    Few grey levels keep the file small; white is left to what is drawn on top.
    """
    height, width = plane.shape
    longest = max(height, width)
    values: npt.NDArray[Any] = plane.astype(np.float32)
    if longest > side_px:
        size = (max(1, width * side_px // longest), max(1, height * side_px // longest))
        values = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    low, high = limits
    fraction = np.clip((values - low) / (high - low), 0, 1) ** GAMMA
    grey = np.round(fraction * (GREY_LEVELS - 1)) * (BRIGHTEST / (GREY_LEVELS - 1))
    bytes_grey: npt.NDArray[np.uint8] = grey.astype(np.uint8)
    return bytes_grey


def enlarged(rgb: Rgb, side_px: int) -> Rgb:
    """Return ``rgb`` (Y, X, 3) enlarged by the whole number that fits ``side_px``."""
    factor = max(1, side_px // max(rgb.shape[:2]))
    return rgb.repeat(factor, axis=0).repeat(factor, axis=1)


def overlay(
    grey: npt.NDArray[np.uint8],
    labels: Image | None,
    lights: Sequence[tuple[Image, Colour]] = (),
) -> Rgb:
    """Return ``grey`` (Y, X) as (Y, X, 3) with outlines and lit regions drawn in.

    Each light is a mask (Y, X) and its colour, red, green, blue.
    """
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    regions = [(nearest(mask, grey.shape) > 0, colour) for mask, colour in lights]
    for lit, colour in regions:
        tint = 0.5 * rgb[lit] + 0.5 * np.array(colour)
        rgb[lit] = np.round(tint / 4) * 4
    for lit, colour in regions:
        rgb[edges(lit.astype(np.uint8))] = colour
    if labels is not None:
        rgb[edges(nearest(labels, grey.shape))] = OUTLINE
    return rgb


def nearest(image: Image, shape: tuple[int, ...]) -> Image:
    """Return a label image (Y, X) at another ``shape`` (Y, X), values untouched."""
    rows = np.arange(shape[0]) * image.shape[0] // shape[0]
    columns = np.arange(shape[1]) * image.shape[1] // shape[1]
    return image[np.ix_(rows, columns)]


def edges(labels: Image) -> npt.NDArray[np.bool_]:
    """Return where an object of ``labels`` (Y, X) touches something else, (Y, X)."""
    wide = np.pad(labels, 1, mode="edge")
    centre = wide[1:-1, 1:-1]
    around = (wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:])
    touches = np.logical_or.reduce([centre != other for other in around])
    inside: npt.NDArray[np.bool_] = touches & (centre != 0)
    return inside


def png_of(rgb: Rgb) -> bytes:
    """Return ``rgb`` (Y, X, 3) uint8 as a PNG file."""
    _, encoded = cv2.imencode(
        ".png", np.ascontiguousarray(rgb[:, :, ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, 6]
    )
    return bytes(encoded)


def _side_px(count: int) -> int:
    """Return the longer side of each of ``count`` images."""
    return int(min(512, (PIXEL_BUDGET / max(1, count)) ** 0.5))


def _label_name(run: Run) -> str:
    """Return the label image that outlines the cells."""
    names = [*PREFERRED_LABELS, *run.label_names]
    there = [name for name in names if name in run.label_names]
    usable = [name for name in there if not name.startswith(MASK)]
    return usable[0] if usable else ""


def _labels(run: Run, name: str, fov: int, time: int) -> Image | None:
    """Return a stored label image (Y, X), None where there is none."""
    if name not in run.label_names:
        return None
    try:
        return run.labels(name, fov, time)
    except MissingFrameError:
        return None
