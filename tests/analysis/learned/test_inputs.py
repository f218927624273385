"""What a network is given: scaled as numpy says, and tiles that join."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from faro.analysis.learned.inputs import as_channels, in_tiles, scaled
from faro.errors import ContractError

if TYPE_CHECKING:
    Planes = npt.NDArray[np.float32]


@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from([None, 16, 24, 40]),
    st.sampled_from([1, 4, 8]),
    st.integers(0, 15),
)
def test_tiles_of_a_network_without_reach_join_exactly(
    height: int, width: int, tile_px: int | None, multiple_px: int, overlap_px: int
) -> None:
    planes = np.random.default_rng(0).random((2, height, width), np.float32)

    def network(tile: Planes) -> Planes:
        assert tile.shape[-2] % multiple_px == tile.shape[-1] % multiple_px == 0
        return tile[::-1] + 1

    found = in_tiles(planes, network, tile_px, overlap_px, multiple_px)
    np.testing.assert_array_equal(found, planes[::-1] + 1)


def test_tiles_join_where_the_overlap_covers_the_reach_of_the_network() -> None:
    planes = np.random.default_rng(1).random((1, 100, 90), np.float32)

    def network(tile: Planes) -> Planes:
        return ndimage.uniform_filter(tile, (0, 9, 9))

    found = in_tiles(planes, network, 48, 16, 4)
    inside = np.s_[:, 8:-8, 8:-8]
    np.testing.assert_allclose(found[inside], network(planes)[inside], atol=1e-5)


def test_a_coarser_grid_joins_too() -> None:
    planes = np.random.default_rng(2).random((1, 70, 50), np.float32)

    def network(tile: Planes) -> Planes:
        return tile[:, ::2, ::2]

    found = in_tiles(planes, network, 32, 8, 8)
    np.testing.assert_array_equal(found, planes[:, ::2, ::2])


def test_each_channel_is_scaled_between_its_percentiles() -> None:
    pixels = np.random.default_rng(3).integers(0, 60_000, (2, 30, 40), np.uint16)
    found = scaled(pixels, (1.0, 99.8))
    for channel, plane in zip(pixels, found, strict=True):
        low, high = np.percentile(channel, (1.0, 99.8))
        expected = (channel - low) / (high - low)
        np.testing.assert_allclose(plane, expected, rtol=1e-5, atol=1e-6)
    assert not scaled(np.full((1, 4, 4), 9, np.uint8), (1.0, 99.8)).any()
    np.testing.assert_array_equal(scaled(pixels, None), pixels)


def test_what_is_no_image_is_refused_by_name() -> None:
    message = r"Net was given an image of shape \(5,\) and dtype uint16; .* up to 3"
    with pytest.raises(ContractError, match=message):
        as_channels(np.zeros(5, np.uint16), "Net", most=3)
    with pytest.raises(ContractError, match="with up to 3 channels"):
        as_channels(np.zeros((4, 8, 8), np.uint16), "Net", most=3)
