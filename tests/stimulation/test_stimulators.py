"""Stimulators light what they say, and keep the contract."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from faro.analysis import PixelCells
from faro.errors import ContractError
from faro.model import Stack, Stimulus, stimulus_from
from faro.protocols import StimulationContext
from faro.stimulation import (
    NoStimulus,
    PercentageOfCell,
    ShiftedMask,
    WholeField,
    as_stimulator,
)
from faro.testing.stimulator import check_stimulator

if TYPE_CHECKING:
    from collections.abc import Mapping

SHAPE = (30, 40)
NOTHING: Mapping[str, Any] = MappingProxyType({})


def context(
    metadata: Mapping[str, Any] = NOTHING, *, with_cells: bool = True
) -> StimulationContext:
    """Return a frame of two cells, 10 x 10 and 6 x 8 px."""
    labels = np.zeros(SHAPE, np.int32)
    labels[5:15, 5:15], labels[20:26, 20:28] = 1, 2
    stack = Stack(np.zeros((1, *SHAPE), np.uint16), ("miRFP",), 0, 0)
    cells = PixelCells(labels) if with_cells else None
    return StimulationContext(stack, cells, {"nuclei": labels}, metadata)


def mask_of(stimulator: Any, frame: StimulationContext) -> npt.NDArray[np.bool_]:
    """Return where a stimulator lights (Y, X)."""
    stimulus = stimulus_from(stimulator.stimulate(frame), SHAPE)
    assert stimulus is not None
    assert stimulus.mask is not None
    return np.asarray(stimulus.mask > 0)


@pytest.mark.parametrize(
    "stimulator",
    [
        WholeField(),
        NoStimulus(),
        PercentageOfCell(),
        PercentageOfCell(1.0, (0.3, 0.7)),
        ShiftedMask(PercentageOfCell(), (40, -40)),
        ShiftedMask(WholeField(), (1, 1)),
    ],
    ids=["whole", "none", "percentage", "slanted", "shifted", "shifted whole"],
)
def test_every_stimulator_keeps_the_contract(stimulator: object) -> None:
    check_stimulator(stimulator)


def test_an_answer_for_each_channel_keeps_the_contract() -> None:
    def front_and_rear(context: Any) -> Any:
        front = context.cells.half((0, 1), 0.3)
        lights = {"CyanStim": front, "RedStim": True, "GreenStim": None}
        return {name: lights[name] for name in context.stim_channels}

    check_stimulator(front_and_rear)
    check_stimulator(front_and_rear, stim_channels=["CyanStim", "RedStim", "GreenStim"])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"CyanStm": True}, "Did you mean 'CyanStim'?"),
        (
            {"CyanStim": np.ones((3, 3), bool)},
            r"Channel 'CyanStim': A stimulation mask",
        ),
        ({3: True}, "answers for the channel 3"),
    ],
)
def test_an_answer_for_a_channel_that_is_wrong_is_found(
    answer: Any, words: str
) -> None:
    with pytest.raises(ContractError, match=words.replace("?", r"\?")):
        check_stimulator(lambda _: answer)


def test_masks_that_change_from_call_to_call_are_found_in_any_channel() -> None:
    calls = iter(range(100))

    def moody(context: Any) -> Any:
        mask = np.zeros(context.shape, bool)
        mask[next(calls)] = True
        return {"CyanStim": True, "RedStim": mask}

    with pytest.raises(ContractError, match="equal frames, equal answers"):
        check_stimulator(moody, stim_channels=["CyanStim", "RedStim"])


def test_a_mask_for_each_channel_is_no_one_mask() -> None:
    each = as_stimulator(lambda _: {"CyanStim": True})
    with pytest.raises(ContractError, match=r"one for each of \['CyanStim'\]\. Give"):
        check_stimulator(ShiftedMask(each, (1, 1)))


def test_the_whole_field_is_lit_or_nothing() -> None:
    stimulus = stimulus_from(WholeField().stimulate(context()), SHAPE)
    assert stimulus is not None
    assert stimulus.whole_field
    nothing: object = NoStimulus()
    assert as_stimulator(nothing).stimulate(context()) is None


def test_the_upper_part_of_each_cell_is_lit() -> None:
    mask = mask_of(PercentageOfCell(fraction=0.5), context())
    expected = np.zeros(SHAPE, np.bool_)
    expected[5:10, 5:15] = expected[20:23, 20:28] = True
    assert np.array_equal(mask, expected)


def test_the_lit_end_never_flips() -> None:
    lit_above = []
    for tilt in (-2.0, -0.5, 0.0, 0.5, 2.0):
        labels = np.zeros((60, 60), np.int32)
        y, x = np.mgrid[:60, :60] - 30.0
        angle = np.deg2rad(tilt)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle)
        labels[np.square(along / 20) + np.square(across / 8) < 1] = 1
        stack = Stack(np.zeros((1, 60, 60), np.uint16), ("miRFP",), 0, 0)
        frame = StimulationContext(stack, PixelCells(labels))
        rows, _ = np.nonzero(PercentageOfCell().stimulate(frame))
        lit_above.append(rows.mean() < 30)
    assert all(lit_above)


def test_the_fraction_may_come_with_the_event() -> None:
    stimulator = PercentageOfCell(0.1, metadata_key="stim_fraction")
    assert stimulator.required_metadata == ("stim_fraction",)
    assert mask_of(stimulator, context({"stim_fraction": 1})).sum() == 148
    check_stimulator(stimulator, metadata={"stim_fraction": 0.4})
    for wrong in ({"stim_fraction": 30}, {"stim_fraction": "0.3"}, {}):
        with pytest.raises(ContractError, match=r"metadata\['stim_fraction'\] is"):
            stimulator.stimulate(context(wrong))


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ContractError, match=r"fraction=\.\.\.\) is 30, .* 0 to 1"):
        PercentageOfCell(fraction=30)
    with pytest.raises(ContractError, match=r"direction \(0, 0\)"):
        PercentageOfCell(direction=(0, 0))


def test_without_cells_there_is_no_part_of_a_cell() -> None:
    with pytest.raises(ContractError, match=r"given no cells\. Give .* a segmenter"):
        PercentageOfCell().stimulate(context(with_cells=False))


def test_a_shifted_mask_is_the_same_elsewhere() -> None:
    right = PercentageOfCell(fraction=0.3)
    wrong = ShiftedMask(right, (28, -10))
    expected = np.roll(mask_of(right, context()), (28, -10), axis=(0, 1))
    assert np.array_equal(mask_of(wrong, context()), expected)
    answer = wrong.stimulate(context())
    assert answer is not None
    assert answer.note["shift_px"] == [28, -10]


def test_shifting_keeps_grey_levels_and_notes() -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[0, 0] = 77

    def grey(_: StimulationContext) -> Stimulus:
        return Stimulus(mask, {"why": "test"})

    moved = ShiftedMask(grey, (1, 2)).stimulate(context())
    assert moved is not None
    assert moved.mask is not None
    assert moved.mask[1, 2] == 77
    assert moved.note["why"] == "test"


def test_no_light_stays_no_light() -> None:
    assert ShiftedMask(NoStimulus(), (5, 5)).stimulate(context()) is None


def test_a_shifted_stimulator_needs_what_the_other_needs() -> None:
    def low(_: StimulationContext) -> bool:
        return True

    low.needs = ["cnr"]  # type: ignore[attr-defined]  # functions take attributes
    low.required_metadata = ["dose"]  # type: ignore[attr-defined]  # functions take attributes
    shifted = ShiftedMask(low, (5, 5))
    assert shifted.needs == ("cnr",)
    assert shifted.required_metadata == ("dose",)


@pytest.mark.parametrize("component", [3, None, WholeField, "up"])
def test_what_cannot_stimulate_is_refused(component: object) -> None:
    with pytest.raises(ContractError, match=r"no stimulator.*stimulate\(context\), or"):
        as_stimulator(component)


class Moody:
    """Breaks every promise of a stimulator."""

    needs = "cnr"
    required_metadata = ("dose",)

    def __init__(self) -> None:
        self.calls = 0

    def stimulate(self, frame: StimulationContext) -> object:
        """Return another answer every time."""
        self.calls += 1
        assert frame.cells is not None
        if len(frame.cells) == 0:
            frame.labels["nuclei"][0, 0] = 1
        if len(frame.cells) == 1:
            return np.zeros((2, 2), np.uint8)
        return self.calls % 2 == 0


def test_the_contract_lists_every_broken_promise() -> None:
    with pytest.raises(ContractError) as caught:
        check_stimulator(Moody())
    for promise in (
        "Moody breaks its contract",
        "`needs` is a tuple of names. (seen: 'cnr')",
        "metadata= holds what it requires. (seen: ['dose'])",
        "many cells: equal frames, equal answers",
        "one cell: ContractError: A stimulation mask has shape (2, 2)",
        "no cell: ValueError: assignment destination is read-only",
    ):
        assert promise in str(caught.value)
