"""Shapes that stand still in the camera image, and patterns that fill it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from faro.errors import ContractError
from faro.stimulation.settings import checked_fraction, in_px, one_length

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.protocols import StimulationContext

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]


def axes_from(
    centre_px: tuple[float, float] | None, shape: tuple[int, int]
) -> tuple[Floats, Floats]:
    """Return rows (Y, 1) and columns (1, X) relative to a point, px.

    Parameters
    ----------
    centre_px
        (y, x) of the point; None for the centre of the image.
    shape
        (Y, X) of the image.
    """
    middle = ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    y, x = middle if centre_px is None else centre_px
    rows, columns = (np.arange(n, dtype=np.float64) for n in shape)
    return rows[:, None] - y, columns[None, :] - x


def unit_vector(angle_deg: float) -> tuple[float, float]:
    """Return (dy, dx) of an angle: 0 is to the right, 90 is down in the image.

    >>> [round(v, 6) for v in unit_vector(90)]
    [1.0, 0.0]
    """
    angle = math.radians(angle_deg)
    return math.sin(angle), math.cos(angle)


@dataclass(frozen=True, slots=True)
class Circle:
    """Lights a disc.

    Parameters
    ----------
    radius_px, radius_um
        Its radius; one of the two.
    centre_px
        (y, x) of its centre in camera pixels; None for the centre of the image.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    required_metadata: ClassVar[tuple[str, ...]] = ()
    radius_px: float | None = None
    radius_um: float | None = None
    centre_px: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        one_length(self.radius_px, self.radius_um, "Circle(radius_...=...)")

    def stimulate(self, context: StimulationContext) -> Bools:
        """Return the mask (Y, X) of the pixels whose centres are in the disc."""
        radius = in_px(self.radius_px, self.radius_um, context, self)
        y, x = axes_from(self.centre_px, context.shape)
        inside: Bools = y**2 + x**2 <= radius**2
        return inside


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Lights a rectangle.

    Parameters
    ----------
    size_px, size_um
        Its height and width; one of the two.
    centre_px
        (y, x) of its centre in camera pixels; None for the centre of the image.
    angle_deg
        By how much it is turned, clockwise as the image is seen.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    required_metadata: ClassVar[tuple[str, ...]] = ()
    size_px: tuple[float, float] | None = None
    size_um: tuple[float, float] | None = None
    centre_px: tuple[float, float] | None = None
    angle_deg: float = 0.0

    def __post_init__(self) -> None:
        for number, side in enumerate(("height", "width")):
            px = None if self.size_px is None else self.size_px[number]
            um = None if self.size_um is None else self.size_um[number]
            one_length(px, um, f"The {side} of Rectangle(size_...=...)")

    def stimulate(self, context: StimulationContext) -> Bools:
        """Return the mask (Y, X) of the pixels whose centres are in the rectangle."""
        px, um = self.size_px or (None, None), self.size_um or (None, None)
        height = in_px(px[0], um[0], context, self)
        width = in_px(px[1], um[1], context, self)
        y, x = axes_from(self.centre_px, context.shape)
        dy, dx = unit_vector(self.angle_deg)
        along = np.abs(x * dx + y * dy)
        across = np.abs(y * dx - x * dy)
        inside: Bools = (2 * along <= width) & (2 * across <= height)
        return inside


@dataclass(frozen=True, slots=True)
class Checkerboard:
    """Lights every other square of a board; the first one, top left, is lit.

    Parameters
    ----------
    square_px, square_um
        Edge of a square; one of the two.
    inverted
        Whether the other squares are lit.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    required_metadata: ClassVar[tuple[str, ...]] = ()
    square_px: float | None = None
    square_um: float | None = None
    inverted: bool = False

    def __post_init__(self) -> None:
        one_length(self.square_px, self.square_um, "Checkerboard(square_...=...)")

    def stimulate(self, context: StimulationContext) -> Bools:
        """Return the mask (Y, X) of the lit squares."""
        edge = in_px(self.square_px, self.square_um, context, self)
        y, x = (
            np.floor(np.arange(n) / edge).astype(np.int64) % 2 for n in context.shape
        )
        lit: Bools = (y[:, None] == x[None, :]) != self.inverted
        return lit


@dataclass(frozen=True, slots=True)
class Gradient:
    """Lights the field with a grey level that grows along a direction.

    Parameters
    ----------
    lowest, highest
        Light where it begins and where it ends, 0 to 1.
    angle_deg
        Where it grows to: 0 is to the right, 90 is down in the image.

    Raises
    ------
    ContractError
        If a level is not 0 to 1, or the angle not finite.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    required_metadata: ClassVar[tuple[str, ...]] = ()
    lowest: float = 0.0
    highest: float = 1.0
    angle_deg: float = 0.0

    def __post_init__(self) -> None:
        checked_fraction(self.lowest, "Gradient(lowest=...)")
        checked_fraction(self.highest, "Gradient(highest=...)")
        if not math.isfinite(self.angle_deg):
            problem = f"Gradient(angle_deg=...) is {self.angle_deg}."
            raise ContractError(problem, remedy="Give an angle in degrees.")

    def stimulate(self, context: StimulationContext) -> npt.NDArray[np.uint8]:
        """Return grey levels (Y, X) uint8; the two ends are reached in corners."""
        dy, dx = unit_vector(self.angle_deg)
        y, x = axes_from(None, context.shape)
        along = np.float32(dy) * y.astype(np.float32) + np.float32(dx) * x
        reach = max(float(np.abs(along).max()), 1e-6)
        share = along.astype(np.float32) * np.float32(0.5 / reach) + np.float32(0.5)
        levels = self.lowest + (self.highest - self.lowest) * share
        grey: npt.NDArray[np.uint8] = np.rint(levels * np.float32(255)).astype(np.uint8)
        return grey
