"""From cells to a camera image: light path, blur, background and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias
from zlib import crc32

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import NonNegativeFloat, PositiveFloat

from faro.microscope.simulated.population import shown
from faro.model import Schema

if TYPE_CHECKING:
    from faro.microscope.simulated.geometry import Field, Floats
    from faro.microscope.simulated.population import Numbers

Picture: TypeAlias = npt.NDArray[np.float32]
Stain: TypeAlias = Literal["marker", "reporter"]

UINT64 = 2**64 - 1
WHITE = 2**16 - 1
DOME, FLAT = 0.2, 0.45
"""How much dimmer the edge of a nucleus and of a cell is than its middle."""
HAZE = 0.04
"""Brightness of the cytoplasm in the nuclear marker."""


class OpticsSettings(Schema):
    """The optics and the camera.

    Attributes
    ----------
    psf_um
        Standard deviation of the blur in focus.
    defocus_um_per_um
        Growth of the blur with the distance from focus, which is at z = 0.
    signal_per_ms
        Photons of a cell of brightness 1, per ms of full light.
    background_per_ms
        Photons of the medium, per ms of full light.
    glow_per_ms
        Photons that stimulation light returns from where it falls, per ms of full
        light.
    tilt_fraction
        How much the illumination changes from side to side.
    offset, read_noise
        Of the camera, in counts; one photon is one count.
    """

    psf_um: PositiveFloat = 0.5
    defocus_um_per_um: NonNegativeFloat = 0.25
    signal_per_ms: NonNegativeFloat = 30.0
    background_per_ms: NonNegativeFloat = 3.0
    glow_per_ms: NonNegativeFloat = 120.0
    tilt_fraction: NonNegativeFloat = 0.15
    offset: NonNegativeFloat = 100.0
    read_noise: NonNegativeFloat = 2.5


@dataclass(frozen=True, slots=True)
class NoiseKey:
    """What the noise of a frame depends on, and nothing else."""

    seed: int
    time_s: float
    x_um: float
    y_um: float
    z_um: float
    channel: str

    def random(self) -> np.random.Generator:
        """Return the random numbers of this frame."""
        words = (
            self.seed,
            round(self.time_s * 1e3),
            round(self.x_um * 1e2),
            round(self.y_um * 1e2),
            round(self.z_um * 1e2),
            crc32(self.channel.encode()),
        )
        entropy = [word & UINT64 for word in words]
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


class Optics:
    """Makes camera images. Holds no state but its settings; any thread."""

    def __init__(self, settings: OpticsSettings | None = None) -> None:
        self.settings = settings or OpticsSettings()

    def stained(self, stain: Stain, cells: Numbers, field: Field) -> Picture:
        """Return the stain's brightness (Y, X) in ``field``, not yet blurred.

        ``cells`` may lie outside the field; what they reach into it is drawn.
        """
        height, width = field.shape
        patches, tops, lefts = _patches(stain, cells, field)
        side = patches.shape[1]
        canvas = np.zeros((height + 2 * side, width + 2 * side), np.float32)
        for patch, top, left in zip(patches, tops, lefts, strict=True):
            if -side <= top <= height and -side <= left <= width:
                y, x = top + side, left + side
                canvas[y : y + side, x : x + side] += patch
        return canvas[side : side + height, side : side + width]

    def blurred(self, picture: Picture, z_um: float, pixel_size_um: float) -> Picture:
        """Return ``picture`` (Y, X) as seen from ``z_um`` above the focus."""
        defocus_um = self.settings.defocus_um_per_um * z_um
        sigma_px = float(np.hypot(self.settings.psf_um, defocus_um)) / pixel_size_um
        size = 2 * int(np.ceil(3 * sigma_px)) + 1
        blurred = cv2.GaussianBlur(picture, (size, size), sigma_px)
        return np.asarray(blurred, np.float32)

    def exposed(self, picture: Picture, light_ms: float) -> Picture:
        """Return the photons (Y, X) of a stain under ``light_ms`` of full light."""
        settings = self.settings
        signal = picture * np.float32(settings.signal_per_ms * light_ms)
        signal += np.float32(settings.background_per_ms * light_ms)
        signal *= _illumination(picture.shape, settings.tilt_fraction)
        return signal

    def counted(self, photons: Picture, key: NoiseKey) -> npt.NDArray[np.uint16]:
        """Return the frame (Y, X) uint16 of ``photons`` (Y, X), with noise.

        Shot noise is drawn from a normal distribution, good from ten photons on.
        """
        settings = self.settings
        noise = key.random().standard_normal(photons.shape, np.float32)
        noise *= np.sqrt(photons + np.float32(settings.read_noise**2))
        noise += photons
        noise += np.float32(settings.offset + 0.5)
        return np.clip(noise, 0, WHITE).astype(np.uint16)


def _illumination(shape: tuple[int, ...], tilt_fraction: float) -> Picture:
    """Return the brightness of the excitation light (Y, X), 1 in the middle."""
    rows = np.linspace(-0.5, 0.5, shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(-0.5, 0.5, shape[1], dtype=np.float32)
    dimming = rows * rows + columns * columns + 0.5 * rows - 0.5 * columns
    brightness: Picture = 1 - np.float32(tilt_fraction) * dimming
    return brightness


def _patches(
    stain: Stain, cells: Numbers, field: Field
) -> tuple[Picture, list[int], list[int]]:
    """Return one picture per cell (n, Y, X), and the row and column of its corner."""
    scale = field.pixel_size_um
    y_px, x_px = field.to_px(cells["x"], cells["y"])
    radius_um, nucleus_um = shown(cells, "radius"), shown(cells, "nucleus")
    longest_um = radius_um * np.sqrt(cells["stretch"])
    half = int(np.ceil(longest_um.max(initial=0.0) / scale)) + 2
    top = np.rint(y_px).astype(int) - half
    left = np.rint(x_px).astype(int) - half
    grid = np.arange(2 * half + 1, dtype=np.float32)
    dy = (grid + (top - y_px).astype(np.float32)[:, None])[:, :, None]
    dx = (grid + (left - x_px).astype(np.float32)[:, None])[:, None, :]
    cosine, sine = _column(np.cos(cells["angle"])), _column(np.sin(cells["angle"]))
    stretch = _column(np.sqrt(cells["stretch"]))
    along = (cosine * dx + sine * dy) / stretch
    across = (cosine * dy - sine * dx) * stretch
    distance = np.sqrt(along * along + across * across)
    nucleus, in_nucleus = _disc(distance, nucleus_um / scale, DOME)
    body, _ = _disc(distance, radius_um / scale, FLAT)
    if stain == "marker":
        painted = _column(shown(cells, "marker")) * (nucleus + HAZE * body)
    else:
        inside = 2 * shown(cells, "reporter") / (1 + cells["ratio"])
        outside = inside * cells["ratio"]
        painted = _column(inside) * nucleus + _column(outside) * body * (1 - in_nucleus)
    return painted, top.tolist(), left.tolist()


def _disc(
    distance: Picture, radius_px: Floats, fading_fraction: float
) -> tuple[Picture, Picture]:
    """Return the profile and the coverage, each (n, Y, X), of soft-edged discs."""
    radius = _column(radius_px)
    covered = np.clip(radius - distance + np.float32(0.5), 0, 1)
    relative = distance / radius
    return covered * (1 - np.float32(fading_fraction) * relative * relative), covered


def _column(values: Floats) -> Picture:
    """Return ``values`` (n,) as (n, 1, 1) float32."""
    return values.astype(np.float32)[:, None, None]
