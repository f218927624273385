"""What a run needs is counted before it starts."""

from __future__ import annotations

import pytest

from faro.experiment import RTMEvent, RTMSequence, needs
from faro.model import HardwareFacts

FACTS = HardwareFacts(image_shape=(10, 20), pixel_size_um=0.5)
SEQUENCE = RTMSequence(
    channels=["A", "B"],
    stage_positions=[{"x": 1, "y": 2, "name": "q"}, (3, 4, 5)],
    time_plan={"interval": 30, "loops": 3},
    stim_channels=["S", "T"],
    stim_frames=[1],
    ref_channels=["R"],
    ref_frames=[2],
)


def test_names_places_and_sizes() -> None:
    found = needs(SEQUENCE, FACTS, ("nuclei", "tracks"))
    assert (found.n_timepoints, found.fovs) == (3, (0, 1))
    assert found.channels == ("A", "B")
    assert (found.stim_channels, found.ref_channels) == (("S", "T"), ("R",))
    assert (found.image_shape, found.image_dtype) == ((10, 20), "uint16")
    assert (found.labels, found.pixel_size_um) == (("nuclei", "tracks"), 0.5)
    assert found.fov_names == {0: "q"}
    assert found.fov_positions_um == {0: (1, 2, None), 1: (3, 4, 5)}
    assert found.interval_s == 30


@pytest.mark.parametrize(("dtype", "size"), [("uint16", 2), ("uint8", 1)])
def test_bytes_are_those_of_frames_labels_and_masks(dtype: str, size: int) -> None:
    facts = HardwareFacts(image_shape=(10, 20), image_dtype=dtype)
    found = needs(SEQUENCE, facts, ("nuclei", "tracks"))
    frames = 2 * (3 * 2 + 2 + 1)
    labels, masks = 2 * 3 * 2, 2 * 2
    assert found.n_bytes == 10 * 20 * (frames * size + labels * 4 + masks)


def test_positions_one_after_the_other_have_the_same_interval() -> None:
    assert needs(SEQUENCE.replace(axis_order="ptcz"), FACTS).interval_s == 30


@pytest.mark.parametrize("starts_s", [(0, 1, 3), (0, None, 2), (0,)])
def test_an_irregular_or_unplanned_interval_is_none(
    starts_s: tuple[float | None, ...],
) -> None:
    events = [
        RTMEvent(index={"t": t, "p": 0}, channels=["A"], min_start_time=start)
        for t, start in enumerate(starts_s)
    ]
    assert needs(events, FACTS).interval_s is None


def test_nothing_needs_nothing() -> None:
    found = needs([], HardwareFacts())
    assert (found.n_timepoints, found.fovs, found.n_bytes) == (0, (), 0)
