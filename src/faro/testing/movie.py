"""Seeded synthetic images of cells with ground truth, for tests and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from faro.protocols.analysis import Floats, Labels

_BACKGROUND = 200.0
_READ_NOISE = 4.0
_GAIN = 0.5
_CYTOPLASM_PX = 7
_MARGIN_PX = 4
_TRIES = 200


@dataclass(frozen=True, slots=True)
class Ellipses:
    """Cells as ellipses, one row each.

    Attributes
    ----------
    yx
        (n, 2) centres, px.
    axes
        (n, 2) half axes, px; the first lies along ``angle``.
    angle
        (n,) direction of the first half axis, radians, from x towards y.
    brightness
        (n,) of the nucleus marker, grey levels above background.
    activity
        (n,) ratio of cytoplasm to nucleus of the reporter.
    """

    yx: Floats
    axes: Floats
    angle: Floats
    brightness: Floats
    activity: Floats


def synthetic_stack(
    shape: tuple[int, int] = (512, 512),
    n_cells: int = 75,
    seed: int = 0,
    *,
    radius_px: float = 10.0,
    spacing_px: float | None = None,
) -> tuple[npt.NDArray[np.uint16], Labels]:
    """Return an image of cells, (C, Y, X) uint16, and its labels (Y, X) int32.

    Channel 0 is a nucleus marker, channel 1 an ERK-KTR-like reporter (nucleus and
    cytoplasm). Uneven background and brightness, blur, shot and read noise. Some
    nuclei touch; where two overlap the pixel belongs to the first.

    Parameters
    ----------
    shape
        (Y, X) in pixels.
    n_cells
        Cells wanted; fewer if they find no place.
    seed
        The same seed gives the same image.
    radius_px
        Mean radius of a nucleus.
    spacing_px
        Smallest distance of two centres; 1.7 radii by default.

    Examples
    --------
    >>> pixels, labels = synthetic_stack((64, 64), n_cells=3, seed=1)
    >>> pixels.shape, pixels.dtype.name, np.unique(labels).tolist()
    ((2, 64, 64), 'uint16', [0, 1, 2, 3])
    """
    rng = np.random.default_rng(seed)
    spacing_px = 1.7 * radius_px if spacing_px is None else spacing_px
    cells = random_cells(rng, shape, n_cells, radius_px, spacing_px)
    return rendered(rng, shape, cells)


def random_cells(
    rng: np.random.Generator,
    shape: tuple[int, int],
    n_cells: int,
    radius_px: float,
    spacing_px: float,
) -> Ellipses:
    """Return cells at random places of a field (Y, X)."""
    yx = scattered(rng, shape, n_cells, spacing_px)
    n = len(yx)
    radius = radius_px * rng.uniform(0.8, 1.2, n)
    stretch = rng.uniform(1.0, 1.35, n)
    return Ellipses(
        yx=yx,
        axes=np.stack([radius * np.sqrt(stretch), radius / np.sqrt(stretch)], axis=1),
        angle=rng.uniform(0.0, np.pi, n),
        brightness=rng.lognormal(np.log(900.0), 0.35, n),
        activity=rng.uniform(0.5, 1.8, n),
    )


def scattered(
    rng: np.random.Generator,
    shape: tuple[int, int],
    n_points: int,
    spacing_px: float,
) -> Floats:
    """Return up to ``n_points`` random places (n, 2) y, x, px, inside (Y, X).

    No two are closer than ``spacing_px``.
    """
    low = np.full(2, min(spacing_px / 2 + _MARGIN_PX, min(shape) / 2))
    high = np.maximum(np.asarray(shape) - low, low + 1e-9)
    places = np.empty((n_points, 2))
    n = 0
    for _ in range(_TRIES * n_points):
        if n == n_points:
            break
        place = rng.uniform(low, high)
        apart = np.square(places[:n] - place).sum(axis=1)
        if not n or apart.min() >= spacing_px**2:
            places[n] = place
            n += 1
    return places[:n]


def rendered(
    rng: np.random.Generator, shape: tuple[int, int], cells: Ellipses
) -> tuple[npt.NDArray[np.uint16], Labels]:
    """Return an image (C, Y, X) uint16 of ``cells`` and its labels (Y, X) int32."""
    labels: Labels = np.zeros(shape, np.int32)
    for number in range(len(cells.yx)):
        _draw(labels, cells, number)
    bright = np.append(0.0, cells.brightness).astype(np.float32)
    active = np.append(0.0, cells.activity).astype(np.float32)
    disk = cv2.getStructuringElement(
        cv2.MORPH_ELLIPSE, (2 * _CYTOPLASM_PX + 1, 2 * _CYTOPLASM_PX + 1)
    )
    # labels are small integers, which float32 holds exactly
    grown = cv2.dilate(labels.astype(np.float32), disk).astype(np.int32)
    reporter = np.where(labels > 0, 450.0, 450.0 * active[grown]) * (grown > 0)
    planes = [bright[labels], reporter.astype(np.float32)]
    return np.stack([_exposed(rng, plane) for plane in planes]), labels


def _draw(labels: Labels, cells: Ellipses, number: int) -> None:
    """Write ellipse ``number`` as label ``number + 1`` where nothing is yet."""
    (y, x), (long, short) = cells.yx[number], cells.axes[number]
    reach = int(np.ceil(max(long, short))) + 1
    y0, x0 = max(int(y) - reach, 0), max(int(x) - reach, 0)
    window = labels[y0 : int(y) + reach + 1, x0 : int(x) + reach + 1]
    rows = np.arange(y0, y0 + window.shape[0])[:, None] - y
    columns = np.arange(x0, x0 + window.shape[1])[None, :] - x
    cos, sin = np.cos(cells.angle[number]), np.sin(cells.angle[number])
    along, across = columns * cos + rows * sin, rows * cos - columns * sin
    inside = np.square(along / long) + np.square(across / short) <= 1
    window[inside & (window == 0)] = number + 1


def _exposed(
    rng: np.random.Generator, plane: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint16]:
    """Return ``plane`` (Y, X) as a camera sees it: blurred, uneven, noisy, uint16."""
    height, width = plane.shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    uneven = 1.0 - 0.25 * (y**2 + x**2) / 2 + 0.15 * x
    light = (cv2.GaussianBlur(plane, (0, 0), 1.3) + _BACKGROUND) * uneven
    shot = rng.standard_normal(plane.shape, np.float32) * np.sqrt(light / _GAIN)
    read = rng.standard_normal(plane.shape, np.float32) * _READ_NOISE
    seen = np.clip(np.rint(light + shot * _GAIN + read), 0, 65535)
    return np.asarray(seen, np.uint16)
