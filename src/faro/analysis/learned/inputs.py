"""What a network is given: scaled, padded, cut into tiles that overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from faro.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.model.frame import PixelArray

Planes: TypeAlias = npt.NDArray[np.float32]


def as_channels(pixels: PixelArray, name: str, most: int | None = None) -> PixelArray:
    """Return ``pixels`` (Y, X) or (C, Y, X) as (C, Y, X).

    Parameters
    ----------
    pixels
        As the camera gives them, uint8 or uint16.
    name
        The segmenter that was given it.
    most
        How many channels it takes at most.

    Raises
    ------
    ContractError
        If it is anything else.
    """
    planes = pixels[None] if pixels.ndim == 2 else pixels
    good = planes.ndim == 3 and planes.dtype in (np.uint8, np.uint16)
    if not good or (most is not None and len(planes) > most):
        limit = "" if most is None else f" with up to {most} channels"
        problem = (
            f"{name} was given an image of shape {pixels.shape} and dtype "
            f"{pixels.dtype}; it takes (Y, X) or (C, Y, X){limit}, uint8 or uint16."
        )
        raise ContractError(problem, remedy="Choose channels with use_channel=.")
    return planes


def scaled(pixels: PixelArray, percentiles: tuple[float, float] | None) -> Planes:
    """Return ``pixels`` (C, Y, X) as float32 (C, Y, X).

    Parameters
    ----------
    pixels
        As the camera gives them.
    percentiles
        Of each channel; what they find becomes 0 and 1, without clipping. An even
        channel becomes 0. None: grey levels as they are.

    Examples
    --------
    >>> scaled(np.array([[[0, 50, 100]]], np.uint16), (0, 100)).tolist()
    [[[0.0, 0.5, 1.0]]]
    """
    planes = pixels.astype(np.float32)
    if percentiles is None:
        return planes
    flat = planes.reshape(len(planes), -1)
    low, high = np.percentile(flat, percentiles, axis=1).astype(np.float32)
    span = (high - low)[:, None, None]
    above = planes - low[:, None, None]
    return np.where(span > 0, above / np.where(span > 0, span, 1), 0).astype(np.float32)


def in_tiles(
    planes: Planes,
    network: Callable[[Planes], Planes],
    tile_px: int | None,
    overlap_px: int,
    multiple_of_px: int,
) -> Planes:
    """Return what ``network`` gives for the whole image, (K, Y / g, X / g) float32.

    The image is mirrored at its borders where a tile or a multiple asks for more.

    Parameters
    ----------
    planes
        (C, Y, X) float32.
    network
        (C, Y, X) to (K, Y / g, X / g); the same whole number g, 1 or more, each time.
    tile_px
        Edge of a tile; None: the whole image at once.
    overlap_px
        By how much tiles overlap at least; each gives its middle.
    multiple_of_px
        Both edges of what the network is given are a multiple of this; g divides it.
    """
    height, width = planes.shape[-2:]
    rows = _starts(height, tile_px, overlap_px, multiple_of_px)
    columns = _starts(width, tile_px, overlap_px, multiple_of_px)
    edge_y, edge_x = rows[1], columns[1]
    pad_y = max(rows[0][-1] + edge_y - height, 0)
    pad_x = max(columns[0][-1] + edge_x - width, 0)
    padded = np.pad(planes, ((0, 0), (0, pad_y), (0, pad_x)), mode="symmetric")
    found: list[list[Planes]] = []
    for y, y0, y1 in _middles(*rows):
        found.append([])
        for x, x0, x1 in _middles(*columns):
            tile = np.ascontiguousarray(padded[:, y : y + edge_y, x : x + edge_x])
            whole = network(tile)
            g = edge_y // whole.shape[-2]
            middle = whole[:, (y0 - y) // g : (y1 - y) // g]
            found[-1].append(middle[:, :, (x0 - x) // g : (x1 - x) // g])
    joined = np.concatenate([np.concatenate(row, axis=2) for row in found], axis=1)
    g = padded.shape[-2] // joined.shape[-2]
    return joined[:, : -(-height // g), : -(-width // g)]


def _starts(
    size_px: int, tile_px: int | None, overlap_px: int, multiple_of_px: int
) -> tuple[list[int], int]:
    """Return where tiles begin along one axis, and their edge, px."""
    step = multiple_of_px
    if tile_px is None:
        return [0], -(-size_px // step) * step
    edge = -(-tile_px // step) * step
    if size_px <= edge:
        return [0], edge
    stride = max((edge - overlap_px) // step, 1) * step
    n = -(-(size_px - edge) // stride)
    return [index * stride for index in range(n + 1)], edge


def _middles(starts: list[int], edge: int) -> list[tuple[int, int, int]]:
    """Return of each tile where it begins, and from where to where it counts, px.

    The border between two tiles lies in the middle of what they share.
    """
    if len(starts) == 1:
        return [(0, 0, edge)]
    stride = starts[1]
    inset = (edge - stride) // 2
    borders = [0, *(start + inset for start in starts[1:]), starts[-1] + edge]
    return list(zip(starts, borders, borders[1:], strict=False))
