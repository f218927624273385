"""Features: names, values, contracts; plug-ins that break theirs fail loudly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.analysis import (
    ErkKtrFeatures,
    IntensityFeatures,
    MovementFeatures,
    NeighbourFeatures,
    PixelCells,
    PositionFeatures,
    RegionFeatures,
    ShapeFeatures,
    as_feature_extractor,
)
from faro.errors import ContractError
from faro.model import Stack
from faro.model.frame import UnknownChannelError
from faro.testing.features import check_features

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.protocols import Cells

CHANNELS = ("miRFP", "mScarlet3")


def frame() -> tuple[PixelCells, Stack]:
    """Return two cells of 4 px in a stack of (C, Y, X)."""
    labels = np.zeros((12, 24), np.int32)
    labels[5:7, 5:7], labels[5:7, 17:19] = 2, 5
    pixels = np.full((2, 12, 24), 30, np.uint16)
    pixels[0, labels == 2], pixels[0, labels == 5] = 100, 200
    pixels[1, labels > 0] = 60
    return PixelCells(labels), Stack(pixels, CHANNELS, fov=0, timestep=0)


@pytest.mark.parametrize(
    "extractor",
    [
        IntensityFeatures(),
        IntensityFeatures(("std", "median"), channels=("mScarlet3",), region="cell"),
        IntensityFeatures(("p10", "max", "corrected_sum"), ring=(1, 3)),
        MovementFeatures(),
        NeighbourFeatures(),
        PositionFeatures(),
        RegionFeatures(("solidity", "bbox", "intensity_max", "euler_number")),
        ShapeFeatures(),
        ErkKtrFeatures(),
        ErkKtrFeatures("mScarlet3", margin=1, distance=6, channels=("miRFP",)),
    ],
    ids=str,
)
def test_every_extractor_keeps_the_contract(extractor: object) -> None:
    check_features(extractor, channels=CHANNELS)


def test_intensities_are_named_by_statistic_channel_and_region() -> None:
    extractor = IntensityFeatures(("mean", "std"), ("miRFP", 1), region="cell")
    columns = extractor.features(*frame())
    assert {name: values.tolist() for name, values in columns.items()} == {
        "mean_miRFP_cell": [100, 200],
        "mean_mScarlet3_cell": [60, 60],
        "std_miRFP_cell": [0, 0],
        "std_mScarlet3_cell": [0, 0],
    }


def test_the_erk_ratio_is_ring_over_nucleus() -> None:
    columns = ErkKtrFeatures("mScarlet3", margin=0, distance=2).features(*frame())
    assert columns["cnr"].tolist() == [0.5, 0.5]
    assert columns["cnr_median"].tolist() == [0.5, 0.5]
    assert columns["area_nuc"].tolist() == [4, 4]
    assert columns["mean_miRFP_ring"].tolist() == [30, 30]
    assert len(columns) == 11


def test_a_black_nucleus_has_no_ratio() -> None:
    cells, stack = frame()
    dark = Stack(np.zeros_like(stack.pixels), CHANNELS, fov=0, timestep=0)
    assert np.isnan(ErkKtrFeatures().features(cells, dark)["cnr"]).all()


def test_the_reporter_is_measured_even_if_it_is_not_listed() -> None:
    extractor = ErkKtrFeatures("mScarlet3", channels=("miRFP",))
    assert set(extractor.features(*frame())) == set(extractor.provides or ())
    assert "median_mScarlet3_ring" in (extractor.provides or ())


def test_the_ring_is_offered_for_storage() -> None:
    cells, _ = frame()
    extractor = ErkKtrFeatures()
    images = extractor.label_images(cells)
    assert tuple(images) == extractor.rings == ("ring",)
    assert images["ring"] is cells.ring(2, 4).labels


@pytest.mark.parametrize("extractor", [ErkKtrFeatures(), IntensityFeatures(("mean",))])
def test_names_that_depend_on_the_channels_are_not_promised(extractor: Any) -> None:
    assert extractor.provides is None


def test_an_unknown_channel_is_named() -> None:
    with pytest.raises(UnknownChannelError, match="no channel 'DAPI'"):
        ErkKtrFeatures("DAPI").features(*frame())


def test_an_unknown_statistic_is_refused() -> None:
    with pytest.raises(ContractError, match=r"no statistic 'mode'.*mean, median, std"):
        IntensityFeatures(("mean", "mode"))


def roundness(cells: Cells, stack: Stack) -> Mapping[str, Any]:
    """Return a column."""
    assert stack.fov == 0
    return {"roundness": cells.area / 10}


def test_a_function_is_an_extractor_and_keeps_its_needs() -> None:
    roundness.needs, roundness.provides = ["area_nuc"], ["roundness"]  # type: ignore[attr-defined]  # functions take attributes
    extractor = as_feature_extractor(roundness)
    assert extractor.needs == ("area_nuc",)  # type: ignore[attr-defined]  # optional
    assert extractor.provides == ("roundness",)  # type: ignore[attr-defined]  # optional
    assert extractor.features(*frame())["roundness"].tolist() == [0.4, 0.4]
    check_features(roundness)


@pytest.mark.parametrize("component", [3, None, ErkKtrFeatures, "cnr"])
def test_what_cannot_measure_is_refused(component: object) -> None:
    with pytest.raises(ContractError, match=r"no feature extractor.*features\(cells"):
        as_feature_extractor(component)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"a": [1.0]}, r"<lambda> returned for 2 cells: 'a' has shape \(1,\)"),
        ({"a": np.ones((2, 2)), "b": 3}, r"'a' has .*'b' has shape \(\)"),
        ({"a": [object(), None]}, "dtype object"),
        ([1.0, 2.0], "returned list, not columns by name"),
    ],
)
def test_columns_of_the_wrong_length_fail_loudly(found: object, message: str) -> None:
    extractor = as_feature_extractor(lambda _cells, _stack: found)
    with pytest.raises(ContractError, match=message):
        extractor.features(*frame())


class Forgetful(MovementFeatures):
    """Says that it remembers, and does not go on from it."""

    def restore(self, fov: int, state: Mapping[str, Any]) -> None:
        """Forget everything, wherever."""
        del fov, state
        self._seen.clear()


def test_a_state_that_is_not_gone_on_from_breaks_the_contract() -> None:
    with pytest.raises(ContractError) as caught:
        check_features(Forgetful())
    assert "It goes on from its state at timestep 1." in str(caught.value)
    assert "What it forgets is one FOV." in str(caught.value)


class Moody:
    """Breaks every promise of a feature extractor."""

    provides = ("promised",)

    def __init__(self) -> None:
        self.calls = 0

    def features(self, cells: Cells, stack: Stack) -> dict[str, Any]:
        """Return other values every time, by label, and fail on empty frames."""
        self.calls += 1
        if len(cells) == 0:
            stack.pixels[0, 0, 0] = 1
        if len(cells) == 1:
            return {"other": ["text"]}
        return {"label": cells.label, "calls": np.full(len(cells), self.calls)}


def test_the_contract_lists_every_broken_promise() -> None:
    with pytest.raises(ContractError) as caught:
        check_features(Moody())
    for promise in (
        "Moody breaks its contract",
        "Equal frames give equal values.",
        "Values follow the cells, whatever their labels.",
        "one cell: the columns and dtypes are those of any frame",
        "no cell: ValueError: assignment destination is read-only",
        "`provides` names the columns that are returned.",
    ):
        assert promise in str(caught.value)
