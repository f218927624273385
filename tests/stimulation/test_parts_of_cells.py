"""Ends, edges and rings of cells: against plain references, and stable per track."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from skimage.measure import regionprops
from skimage.segmentation import expand_labels

from faro.errors import ContractError
from faro.protocols import Waits, waits_for
from faro.stimulation import EdgeOfCell, PercentageOfCell, RingAroundNucleus
from faro.testing.stimulator import check_stimulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.protocols import StimulationContext

    Frames = Callable[..., StimulationContext]

Labels = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
DARK = np.zeros((200, 240), np.int32)


def furthest_by_hand(
    labels: Labels, ways: dict[int, tuple[float, float]], fraction: float
) -> Bools:
    """Return the part of each cell furthest along its way, one cell after another."""
    mask = np.zeros(labels.shape, np.bool_)
    for label, (dy, dx) in ways.items():
        y, x = np.nonzero(labels == label)
        along = (y * dy + x * dx) / math.hypot(dy, dx)
        n = math.ceil(len(along) * fraction - 1e-6)
        if n:
            mask[y, x] = mask[y, x] | (along >= np.sort(along)[-n] - 1e-6)
    return mask


def ellipse(angle_deg: float, axes: tuple[float, float] = (20, 9)) -> Labels:
    """Return one cell (Y, X), turned clockwise as seen."""
    y, x = np.mgrid[:80, :80] - 40.0
    angle = math.radians(angle_deg)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    inside: Bools = (along / axes[0]) ** 2 + (across / axes[1]) ** 2 < 1
    return inside.astype(np.int32)


def regions_of(labels: Labels) -> Any:
    """Return what skimage measures."""
    measure: Any = regionprops
    return measure(labels)


def end_of(mask: Bools) -> Any:
    """Return the unit vector (dy, dx) from the middle of the image to the light."""
    middle = np.argwhere(mask).mean(axis=0) - 40.0
    return middle / np.hypot(*middle)


CASES = [
    ("top", PercentageOfCell(), Waits.LABELS),
    ("rear", PercentageOfCell(0.5, (0.3, 0.7), end="rear"), Waits.LABELS),
    ("axis", PercentageOfCell(direction="major_axis"), Waits.TRACKS),
    ("movement", PercentageOfCell(direction="movement"), Waits.TRACKS),
    ("point", PercentageOfCell(towards_px=(3.0, 200.0)), Waits.LABELS),
    ("top edge", EdgeOfCell(width_px=3), Waits.LABELS),
    ("front edge", EdgeOfCell(width_um=2, direction="movement"), Waits.TRACKS),
    ("ring", RingAroundNucleus(), Waits.LABELS),
    ("wide ring", RingAroundNucleus(0, 20, nucleus_too=True), Waits.LABELS),
]


@pytest.mark.parametrize(
    ("stimulator", "waits"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_they_keep_the_contract(stimulator: Any, waits: Waits) -> None:
    check_stimulator(stimulator)
    assert waits_for(stimulator) is waits


@pytest.mark.parametrize("stimulator", [c[1] for c in CASES], ids=[c[0] for c in CASES])
def test_empty_frames_are_dark(stimulator: Any, frame: Frames) -> None:
    assert not stimulator.stimulate(frame(DARK)).any()


def test_percentage_towards_a_point(crowd: Labels, frame: Frames) -> None:
    point = (60.0, 100.0)
    mask = PercentageOfCell(0.4, towards_px=point).stimulate(frame(crowd))
    ways = {}
    for region in regions_of(crowd):
        y, x = region.centroid
        ways[region.label] = (point[0] - y, point[1] - x)
    assert (mask == furthest_by_hand(crowd, ways, 0.4)).all()


def test_percentage_along_the_major_axis(crowd: Labels, frame: Frames) -> None:
    mask = PercentageOfCell(0.3, "major_axis").stimulate(frame(crowd))
    ways = {}
    for region in regions_of(crowd):
        way = np.array([math.cos(region.orientation), math.sin(region.orientation)])
        ways[region.label] = tuple(-way if way[0] > 0 else way)
    assert (mask != furthest_by_hand(crowd, ways, 0.3)).mean() < 1e-4
    rear = PercentageOfCell(0.3, "major_axis", end="rear").stimulate(frame(crowd))
    back = {label: (-dy, -dx) for label, (dy, dx) in ways.items()}
    assert (rear != furthest_by_hand(crowd, back, 0.3)).mean() < 1e-4


@pytest.mark.parametrize("spin_deg", [3, -3, 17, -17])
def test_the_lit_end_turns_with_the_cell_and_never_flips(
    spin_deg: int, frame: Frames
) -> None:
    stimulator = PercentageOfCell(0.3, "major_axis")
    memory: dict[str, Any] = {}
    ends = [
        end_of(stimulator.stimulate(frame(ellipse(angle), memory=memory)))
        for angle in range(0, 40 * spin_deg, spin_deg)
    ]
    turns = [float(one @ two) for one, two in pairwise(ends)]
    assert min(turns) > math.cos(math.radians(abs(spin_deg) + 3))


def test_a_cell_that_rounds_up_keeps_its_lit_end(frame: Frames) -> None:
    stimulator = PercentageOfCell(0.3, "major_axis")
    memory: dict[str, Any] = {}
    first = end_of(stimulator.stimulate(frame(ellipse(30), memory=memory)))
    for angle in (80, 125, 170):
        labels = ellipse(angle, axes=(14, 13.5))
        end = end_of(stimulator.stimulate(frame(labels, memory=memory)))
        assert float(first @ end) > 0.97


def test_a_lit_end_survives_a_gap_and_goes_to_the_daughters(frame: Frames) -> None:
    stimulator = PercentageOfCell(0.3, "major_axis", end="rear")
    memory: dict[str, Any] = {}
    below = [end_of(stimulator.stimulate(frame(ellipse(60), memory=memory)))]
    assert below[0][0] > 0
    stimulator.stimulate(frame(np.zeros((80, 80), np.int32), memory=memory))
    # past the horizontal, where a cell seen for the first time is lit at its other end
    below.append(end_of(stimulator.stimulate(frame(ellipse(10), memory=memory))))
    below.append(end_of(stimulator.stimulate(frame(ellipse(-20), memory=memory))))
    assert float(below[1] @ below[2]) > 0.8
    daughter = frame(ellipse(-20), tracks=[9], parents=np.array([1]), memory=memory)
    stranger = frame(ellipse(-20), tracks=[8], memory=memory)
    assert float(end_of(stimulator.stimulate(daughter)) @ below[2]) > 0.99
    assert float(end_of(stimulator.stimulate(stranger)) @ below[2]) < -0.99


def test_the_front_is_where_a_cell_moves_to(frame: Frames) -> None:
    stimulator = PercentageOfCell(0.5, "movement")
    memory: dict[str, Any] = {}

    def lit(dy: int, dx: int) -> Bools:
        labels = np.roll(ellipse(0, (12, 12)), (dy, dx), (0, 1))
        mask = stimulator.stimulate(frame(labels, memory=memory))
        return np.roll(mask, (-dy, -dx), (0, 1))

    assert not lit(0, 0).any(), "it has not moved yet"
    assert not lit(1, 0).any(), "a jitter is no movement"
    assert end_of(lit(3, 0)) == pytest.approx([1, 0], abs=0.01)
    assert end_of(lit(2, 1)) == pytest.approx([1, 0], abs=0.01), "it rests"
    assert end_of(lit(3, 5)) == pytest.approx([0, 1], abs=0.01)


def test_the_edge_is_what_leaves_the_cell(crowd: Labels, frame: Frames) -> None:
    mask = EdgeOfCell(width_px=3, direction=(-2.0, 0.0)).stimulate(frame(crowd))
    expected = np.zeros(crowd.shape, np.bool_)
    for y, x in np.argwhere(crowd):
        expected[y, x] = y < 3 or crowd[y - 3, x] != crowd[y, x]
    assert (mask == expected).all()
    left = EdgeOfCell(width_um=1.0, direction=(0.0, 1.0), end="rear")
    columns = [np.argwhere(row).ravel() for row in (crowd == crowd.max())]
    seen = left.stimulate(frame(crowd)) & (crowd == crowd.max())
    for row, inside in zip(seen, columns, strict=True):
        assert np.flatnonzero(row).tolist() == inside[:2].tolist()


def test_rings_are_what_skimage_expands(crowd: Labels, frame: Frames) -> None:
    expand: Any = expand_labels
    outer, inner = expand(crowd, 5) > 0, expand(crowd, 2) > 0
    mask = RingAroundNucleus(2, 5).stimulate(frame(crowd))
    assert (mask == (outer & ~inner)).all()
    whole = RingAroundNucleus(2, 5, nucleus_too=True).stimulate(frame(crowd))
    assert (whole == outer).all()


def test_percentages_per_treatment_come_from_the_metadata(frame: Frames) -> None:
    stimulator = PercentageOfCell(metadata_key="percent", direction="major_axis")
    check_stimulator(stimulator, metadata={"percent": 0.4})
    cell = ellipse(37)
    for share in (0.0, 0.25, 1.0):
        mask = stimulator.stimulate(frame(cell, metadata={"percent": share}))
        assert mask.sum() == pytest.approx(share * cell.sum(), rel=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: PercentageOfCell(direction=cast("Any", "left")),
            "direction 'left'.*'movement'",
        ),
        (lambda: PercentageOfCell(towards_px=(math.nan, 0)), "the point .nan, 0"),
        (lambda: EdgeOfCell(), r"width_\.\.\.=\.\.\.\) is given as None px"),
        (lambda: EdgeOfCell(width_px=2, direction=(0, 0)), r"direction \(0, 0\)"),
        (lambda: RingAroundNucleus(4, 4), "from 4 to 4 px"),
    ],
)
def test_what_is_no_part_of_a_cell_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        make()
