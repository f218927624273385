"""Movies of positions: cells with outlines, the light, the time; mp4 or gif."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
from PIL import Image as PilImage

from faro.errors import FaroError, MissingExtraError
from faro.view.journal import MASK
from faro.view.look import LIT, light_colours
from faro.view.panels import (
    PREFERRED_LABELS,
    contrast,
    enlarged,
    overlay,
    scaled,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faro.storage import Run
    from faro.view.panels import Colour, Image, Rgb

KINDS: Final = (".mp4", ".gif")
N_FOR_CONTRAST: Final = 12
CAPTION_PX: Final = 28
TEXT: Final = (230, 230, 230)


class MovieError(FaroError):
    """A movie cannot be made as asked for."""


@dataclass(frozen=True, slots=True)
class MovieLook:
    """How a movie looks.

    Parameters
    ----------
    channel
        What is shown; None for the first.
    rate_hz
        Timepoints a second.
    side_px
        Longer side of the picture.
    outlines
        Whether cells are outlined and the light is drawn.
    """

    channel: str | None = None
    rate_hz: float = 8.0
    side_px: int = 720
    outlines: bool = True


def write_movie(run: Run, path: Path, fov: int, look: MovieLook | None = None) -> Path:
    """Write the movie of a position; a file that is there is not replaced.

    Parameters
    ----------
    run
        Finished, going on, or killed.
    path
        Ends in ``.mp4`` (H.264; needs the extra ``movie``) or ``.gif``.

    Raises
    ------
    MovieError
        If the file is there, the ending is another, or there is nothing to show.
    MissingExtraError
        If mp4 is asked for and PyAV is not installed.
    """
    look = look or MovieLook()
    if path.suffix not in KINDS:
        problem = f"{path.name} is no movie that can be written."
        raise MovieError(problem, remedy=f"End it with {' or '.join(KINDS)}.")
    if path.exists():
        problem = f"{path} is there already; it is not replaced."
        raise MovieError(problem, remedy="Give another name, or delete it.")
    if look.channel is not None and look.channel not in run.channels:
        problem = f"{run.path} has no channel {look.channel!r}."
        raise MovieError(problem, remedy=f"Use one of: {', '.join(run.channels)}.")
    pictures = _pictures(run, fov, look)
    write = _write_gif if path.suffix == ".gif" else _write_mp4
    hidden = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        write(hidden, pictures, look.rate_hz)
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)
    return path


def _pictures(run: Run, fov: int, look: MovieLook) -> Iterator[Rgb]:
    """Yield a picture (Y, X, 3) uint8 of every timepoint, all of one even size."""
    channel = look.channel or next(iter(run.channels), "")
    times = [t for t in range(run.n_timepoints) if run.has(fov, t, channel)]
    if not times:
        problem = f"{run.path} holds no frame of fov {fov} in channel {channel!r}."
        raise MovieError(problem, remedy=f"It has positions {list(run.fovs)}.")
    sample = times[:: max(1, len(times) // N_FOR_CONTRAST)]
    limits = contrast([run.frame(fov, t, channel) for t in sample])
    names = run.images.label_names(fov)
    outlined = next((n for n in PREFERRED_LABELS if n in names), "")
    masks = [name for name in names if name.startswith(MASK)]
    shape = run.frame(fov, times[0], channel).shape
    for t in range(times[-1] + 1):
        grey = np.zeros(shape, np.uint8)
        if t in times:
            grey = run.frame(fov, t, channel)
        small = scaled(grey, limits, look.side_px)
        labels = run.images.labels(outlined, fov, t) if look.outlines else None
        lights = _lights(run, masks, fov, t) if look.outlines else []
        picture = enlarged(overlay(small, labels, lights), look.side_px)
        yield _captioned(picture, _caption(run, fov, t, there=t in times))


def _lights(
    run: Run, masks: list[str], fov: int, timestep: int
) -> list[tuple[Image, Colour]]:
    """Return the masks (Y, X) that were fired at a timepoint, each with its colour."""
    found = [(n, run.images.labels(n, fov, timestep)) for n in masks]
    colours = light_colours(masks)
    return [(mask, LIT[colours[n]]) for n, mask in found if mask is not None]


def _caption(run: Run, fov: int, timestep: int, *, there: bool) -> str:
    """Return what stands below a picture."""
    name = run.fov_names.get(fov) or f"position {fov}"
    if not there:
        return f"{name}   t {timestep}   not acquired"
    stacks = run.stacks(fov, timestep)
    seconds = stacks[0].planned_s if stacks else 0.0
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{name}   t {timestep}   {hours}:{minutes:02d}:{rest:02d}"


def _captioned(picture: Rgb, text: str) -> Rgb:
    """Return a picture (Y, X, 3) with a line of text below, of an even size."""
    height, width = picture.shape[:2]
    size = (height + CAPTION_PX + height % 2, width + width % 2, 3)
    whole = np.zeros(size, np.uint8)
    whole[:height, :width] = picture
    at = (6, height + CAPTION_PX - 9)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(whole, text, at, font, 0.5, TEXT, 1, cv2.LINE_AA)
    return whole


def _write_gif(path: Path, pictures: Iterator[Rgb], rate_hz: float) -> None:
    """Write a gif; the palette is that of each picture."""
    images = [PilImage.fromarray(p).quantize(128) for p in pictures]
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=round(1000 / rate_hz),
        loop=0,
    )


def _write_mp4(path: Path, pictures: Iterator[Rgb], rate_hz: float) -> None:
    """Write an mp4 that browsers and office programs play."""
    try:
        import av  # noqa: PLC0415  optional
    except ImportError as error:
        library = "av"
        raise MissingExtraError(library, extra="movie") from error
    first, rate = next(pictures), Fraction(rate_hz).limit_denominator(1000)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18"}
        for picture in (first, *pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
