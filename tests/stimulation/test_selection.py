"""Which cells are lit: by feature, rank, chance and schedule; and colonies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from faro.errors import ContractError
from faro.model import Stimulus, stimulus_from
from faro.stimulation import (
    CellsByFeature,
    CellsByRank,
    Gradient,
    Lit,
    NoStimulus,
    PercentageOfCell,
    PercentageOfColony,
    RandomCells,
    ScheduledCells,
    WholeField,
)
from faro.testing.stimulator import check_stimulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.protocols import StimulationContext

    Frames = Callable[..., StimulationContext]

Labels = npt.NDArray[np.int32]
DARK = np.zeros((30, 40), np.int32)


def lit_cells(stimulator: Any, context: StimulationContext) -> list[int]:
    """Return the labels of the lit cells; all of each cell or nothing is lit."""
    stimulus = stimulus_from(stimulator.stimulate(context), context.shape)
    assert context.cells is not None
    labels = context.cells.labels
    if stimulus is None or stimulus.mask is None:
        return []
    lit = np.unique(labels[stimulus.mask > 0])
    assert ((stimulus.mask > 0) == np.isin(labels, lit)).all()
    return [int(label) for label in lit]


@pytest.mark.parametrize(
    "stimulator",
    [
        CellsByFeature("area", at_least=100),
        CellsByFeature("cnr", at_most=3.0, within=PercentageOfCell()),
        CellsByRank("cnr", count=3),
        CellsByRank("y", fraction=0.2, which="lowest", within=WholeField()),
        RandomCells(0.5, seed=3),
        RandomCells(within=PercentageOfCell(direction="major_axis")),
        ScheduledCells((Lit(0, 10),), since="seen"),
        PercentageOfColony(),
        PercentageOfColony(labels="nuclei", gap_px=0),
    ],
    ids=["area", "cnr", "rank", "low", "random", "ends", "plan", "colony", "largest"],
)
def test_they_keep_the_contract_and_empty_frames_are_dark(
    stimulator: Any, frame: Frames
) -> None:
    check_stimulator(stimulator)
    empty = frame(DARK, features={"cnr": np.empty(0)})
    assert stimulus_from(stimulator.stimulate(empty), DARK.shape) is None


def test_cells_are_chosen_by_a_feature(crowd: Labels, frame: Frames) -> None:
    n = int(crowd.max())
    values = np.arange(n, dtype=float)
    values[4] = np.nan
    context = frame(crowd, features={"cnr": values})
    stimulator = CellsByFeature("cnr", at_least=2, at_most=7)
    assert stimulator.needs == ("cnr",)
    assert lit_cells(stimulator, context) == [3, 4, 6, 7, 8]


def test_cells_are_chosen_by_rank(crowd: Labels, frame: Frames) -> None:
    n = int(crowd.max())
    values = np.arange(n, dtype=float) % 5
    values[-1] = np.nan
    context = frame(crowd, features={"cnr": values})
    ranked = sorted(range(n - 1), key=lambda i: (-values[i], i))
    assert lit_cells(CellsByRank("cnr", count=7), context) == sorted(
        i + 1 for i in ranked[:7]
    )
    low = sorted(range(n - 1), key=lambda i: (values[i], i))[: round(0.1 * n)]
    lowest = CellsByRank("cnr", fraction=0.1, which="lowest")
    assert lit_cells(lowest, context) == sorted(i + 1 for i in low)
    assert lit_cells(CellsByRank("cnr", count=0), context) == []
    assert len(lit_cells(CellsByRank("cnr", count=999), context)) == n - 1


def test_chance_is_fair_seeded_and_belongs_to_the_track(
    crowd: Labels, frame: Frames
) -> None:
    cells = np.arange(1, 4901, dtype=np.int32).reshape(70, 70)
    chosen = lit_cells(RandomCells(0.3), frame(cells))
    assert len(chosen) == pytest.approx(0.3 * 4900, abs=4 * 32)
    assert chosen == lit_cells(RandomCells(0.3), frame(cells)), "the same in a replay"
    assert chosen != lit_cells(RandomCells(0.3, seed=1), frame(cells))
    assert chosen != lit_cells(RandomCells(0.3), frame(cells, fov=1))
    assert set(chosen) < set(lit_cells(RandomCells(0.6), frame(cells)))
    some = np.where(crowd % 3 == 1, crowd, 0).astype(np.int32)
    few = lit_cells(RandomCells(0.5), frame(some))
    everybody = lit_cells(RandomCells(0.5), frame(crowd))
    assert few == [label for label in everybody if label % 3 == 1]
    assert lit_cells(RandomCells(0.0), frame(crowd)) == []
    assert len(lit_cells(RandomCells(1.0), frame(crowd))) == crowd.max()


def test_the_light_of_another_stimulator_is_kept_in_the_chosen_cells(
    crowd: Labels, frame: Frames
) -> None:
    top = PercentageOfCell(0.3)
    context = frame(crowd)
    both = RandomCells(0.5, within=top).stimulate(context)
    alone = RandomCells(0.5).stimulate(context)
    assert isinstance(both, Stimulus)
    assert both.mask is not None
    assert isinstance(alone, np.ndarray)
    assert ((both.mask > 0) == (top.stimulate(context) & (alone > 0))).all()
    whole = RandomCells(0.5, within=WholeField()).stimulate(context)
    assert (np.asarray(whole) == alone).all()
    assert RandomCells(0.5, within=NoStimulus()).stimulate(context) is None
    grey = RandomCells(1.0, within=Gradient()).stimulate(context)
    assert isinstance(grey, Stimulus)
    expected = np.where(crowd > 0, Gradient().stimulate(context), 0)
    assert (np.asarray(grey.mask) == expected).all()
    keyed = RandomCells(within=PercentageOfCell(metadata_key="percent"))
    assert keyed.required_metadata == ("percent",)


def test_every_cell_has_its_own_schedule(crowd: Labels, frame: Frames) -> None:
    plan = (
        Lit(10, 20, track_id=3),
        Lit(15, 30, track_id=5, level=0.5),
        Lit(0, 99, track_id=7, fov=1),
    )
    stimulator = ScheduledCells(plan)
    at = {t: lit_cells(stimulator, frame(crowd, time_s=t)) for t in (0, 10, 15, 20, 30)}
    assert at == {0: [], 10: [3], 15: [3, 5], 20: [5], 30: []}
    assert lit_cells(stimulator, frame(crowd, time_s=0, fov=1)) == [7]
    levels = stimulator.stimulate(frame(crowd, time_s=15))
    assert set(np.asarray(levels)[crowd == 5].tolist()) == {128}


def test_a_schedule_may_count_from_when_a_cell_was_seen(
    crowd: Labels, frame: Frames
) -> None:
    stimulator = ScheduledCells((Lit(5, 15),), since="seen")
    memory: dict[str, Any] = {}
    early = np.where(crowd <= 2, crowd, 0).astype(np.int32)
    both = np.where(crowd <= 4, crowd, 0).astype(np.int32)
    seen = [
        lit_cells(stimulator, frame(labels, time_s=t, memory=memory))
        for t, labels in ((0, early), (10, both), (20, both), (30, both))
    ]
    assert seen == [[], [1, 2], [3, 4], []]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CellsByFeature("cnr"), "range None to None. Give at_least"),
        (lambda: CellsByFeature("cnr", at_least=3, at_most=2), "range 3 to 2"),
        (lambda: CellsByRank("cnr"), "count None, fraction None. Give one"),
        (lambda: CellsByRank("cnr", fraction=3), "is 3, not a fraction"),
        (lambda: RandomCells(-1), "is -1, not a fraction"),
        (lambda: ScheduledCells((Lit(3, 3),)), r"\[0\] is from 3 to 3 s"),
        (lambda: ScheduledCells((Lit(0, 3, level=7),)), r"\[0\]\.level is 7"),
        (lambda: PercentageOfColony(direction=(0, 0)), r"direction \(0, 0\)"),
        (lambda: PercentageOfColony(gap_px=-1), "gap_px=.* is -1"),
    ],
)
def test_what_selects_nothing_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        make()


def colony_labels() -> Labels:
    """Return two colonies of round cells, with gaps of 8 px, and a lonely cell."""
    labels = np.zeros((300, 360), np.int32)
    y, x = np.mgrid[:300, :360]
    middles = [(40 + 28 * i, 40 + 28 * j) for i in range(6) for j in range(5)]
    middles += [(60 + 28 * i, 260 + 28 * j) for i in range(3) for j in range(3)]
    middles += [(260, 300)]
    for number, (row, column) in enumerate(middles, 1):
        labels[(y - row) ** 2 + (x - column) ** 2 <= 100] = number
    return labels


def test_a_part_of_the_largest_colony_is_lit(frame: Frames) -> None:
    labels = colony_labels()
    whole = PercentageOfColony(1.0).stimulate(frame(labels))
    assert np.unique(labels[whole]).tolist() == list(range(31)), "and its gaps"
    _, n = ndimage.label(whole)
    assert n == 1
    assert (ndimage.binary_fill_holes(whole) == whole).all()
    assert whole[labels == 1].all()
    for way in ((0.0, -1.0), (1.0, 1.0)):
        part = PercentageOfColony(0.3, way).stimulate(frame(labels))
        assert part.sum() == pytest.approx(0.3 * whole.sum(), rel=0.02)
        y, x = np.nonzero(part)
        dark_y, dark_x = np.nonzero(whole & ~part)
        first = (y * way[0] + x * way[1]).min()
        assert (dark_y * way[0] + dark_x * way[1]).max() <= first


def test_the_gap_decides_what_is_one_colony(frame: Frames) -> None:
    labels = colony_labels()
    single = PercentageOfColony(1.0, gap_px=0).stimulate(frame(labels))
    assert len(np.unique(labels[single])) == 1
    assert single.sum() == (labels == 1).sum()
    everybody = PercentageOfColony(1.0, gap_px=200).stimulate(frame(labels))
    assert everybody[labels > 0].all()


def test_a_colony_is_filled(frame: Frames) -> None:
    labels = np.zeros((90, 90), np.int32)
    labels[10:80, 10:80] = 1
    labels[30:60, 30:60] = 0
    filled = PercentageOfColony(1.0, gap_px=4).stimulate(frame(labels))
    assert filled.sum() == 70 * 70


def test_a_colony_of_another_label_image(frame: Frames) -> None:
    labels = colony_labels()
    with pytest.raises(ContractError, match=r"no label image 'colony'.*are: nuclei"):
        PercentageOfColony(labels="colony").stimulate(frame(labels))
    stimulator = PercentageOfColony(metadata_key="share")
    assert stimulator.required_metadata == ("share",)
    dark = stimulator.stimulate(frame(labels, metadata={"share": 0.0}))
    assert not dark.any()
