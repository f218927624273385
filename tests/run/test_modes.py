"""Interleaved runs: the right light at the right place, and nothing left over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.experiment import RTMEvent, plan
from faro.model import FrameRole
from faro.run import Controller, ImageProcessingPipeline
from faro.run.assembler import Assembler
from faro.run.clock import RunClock
from faro.run.notices import Notices
from faro.run.recorder import Recorder
from faro.testing.discs import LIGHT, disc_sequence, segment_discs
from faro.testing.memory import MemorySink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faro.experiment import PlannedEvent
    from faro.testing.canned import CannedMicroscope

FOVS, TIMEPOINTS = 3, 3
N_SHOTS = 2 * 2 * 5
REF = FrameRole.REF


def light_of(context: Any) -> Any:
    """Return a mask that says of which frame it is."""
    mask = np.zeros(context.shape, bool)
    mask[context.stack.fov, : 1 + context.timestep] = True
    return mask


@pytest.fixture
def ran(microscope: CannedMicroscope, sink: MemorySink) -> MemorySink:
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=light_of)
    controller = Controller(microscope, pipeline, writer=sink)
    reference = [{"config": "mScarlet3", "exposure": 5}]
    events = disc_sequence(TIMEPOINTS, FOVS, ref_channels=reference, ref_frames=[1])
    assert controller.run_experiment(events, stim_mode="interleaved").completed
    return sink


def test_every_light_is_that_of_its_own_frame(
    ran: MemorySink, microscope: CannedMicroscope
) -> None:
    fired = [(f.timestep, f.fov) for f in microscope.fired]
    assert fired == [(t, p) for t in (1, 2) for p in range(FOVS)]
    for timestep, fov in fired:
        expected = np.zeros((64, 80), bool)
        expected[fov, : 1 + timestep] = True
        stored = ran.labels["stim_mask", fov, timestep]
        np.testing.assert_array_equal(stored > 0, expected)
    assert len(ran.kinds("stim_armed")) == len(ran.kinds("stim_confirmed")) == 6


def test_images_and_references_come_before_all_light(
    ran: MemorySink, microscope: CannedMicroscope
) -> None:
    del ran
    roles = [role for _, timestep, role, _ in microscope.seen if timestep == 1]
    assert roles == ["image", "image", "ref"] * FOVS + ["stim"] * FOVS


def test_what_is_read_out_during_light_says_where_and_when_it_was(
    ran: MemorySink,
) -> None:
    began: dict[tuple[int, int], float] = {}
    for stack, times in ran.stacks:
        assert stack.position_um[:2] == (100.0 * stack.fov, 0.0)
        moment = (stack.fov, stack.timestep)
        assert times["started_s"] == began.setdefault(moment, times["started_s"])
        assert times["started_s"] <= stack.acquired_s
    roles = {str(stack.role) for stack, _ in ran.stacks}
    assert roles == {"image", "stim", "ref"}


def test_a_position_whose_image_failed_gets_no_light_and_the_others_do(
    microscope: CannedMicroscope, sink: MemorySink
) -> None:
    microscope._fail = lambda event: (
        event.metadata["faro"]["fov"] == 1 and event.metadata["faro"]["timestep"] == 1
    )
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=light_of)
    controller = Controller(microscope, pipeline, writer=sink)
    events = disc_sequence(TIMEPOINTS, FOVS)
    assert controller.run_experiment(events, stim_mode="interleaved").completed
    fired = [(f.timestep, f.fov) for f in microscope.fired]
    assert fired == [(1, 0), (1, 2), (2, 0), (2, 1), (2, 2)]


class Assembly:
    """An assembler by itself, and what it handed on."""

    def __init__(self, sink: MemorySink) -> None:
        self.clock = RunClock()
        self.clock.start()
        self.recorder = Recorder(sink, self.clock, lambda _: None)
        self.delivered: list[tuple[int, int]] = []
        self.given_up: list[tuple[int, int]] = []
        self.assembler = Assembler(
            self.clock,
            self.recorder,
            Notices(),
            lambda moment, _: self.delivered.append((moment.fov, moment.timestep)),
            lambda fov, timestep, _: self.given_up.append((fov, timestep)),
            None,
        )
        self._seq = 0

    def send(self, planned: PlannedEvent, *, arrives: bool) -> None:
        """Expect an exposure; have it arrive, or never hear of it again."""
        self._seq += 1
        self.assembler.expect(self._seq, planned)
        if arrives:
            event: Any = type("Event", (), {})()
            event.metadata = {"faro": {"seq": self._seq}}
            self.assembler.frame(np.ones((4, 4), np.uint16), event, {})


def shots(n: int) -> Iterator[PlannedEvent]:
    events = [
        RTMEvent(
            index={"t": t, "p": p},
            channels=["A", "B"],
            stim_channels=[LIGHT, "Other"],
            ref_channels=["R"],
        )
        for t in range(n)
        for p in range(2)
    ]
    return plan(events, stim_mode="interleaved")


def test_a_stack_whose_last_channel_never_comes_is_let_go_and_recorded(
    sink: MemorySink,
) -> None:
    assembly = Assembly(sink)
    for planned in shots(50):
        assembly.send(planned, arrives=planned.role is REF or not planned.last)
        assert assembly.assembler.n_unfinished <= 1
    assembly.assembler.close()
    assert assembly.assembler.n_unfinished == 0
    recorded = sink.kinds("stack_incomplete")
    assert len(recorded) == 100
    assert {(r["role"], *r["channels"]) for r in recorded} == {("image", "A")}
    assert assembly.recorder.finish({}, 5.0)
    light = [s.channels for s, _ in sink.stacks if s.role is FrameRole.STIM]
    assert light == [(LIGHT,)] * 100


@given(missing=st.sets(st.integers(0, N_SHOTS - 1)))
@settings(deadline=None)
def test_whatever_is_missing_nothing_stays_and_nothing_is_told_twice(
    missing: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    sink = MemorySink(tmp_path_factory.mktemp("run"))
    assembly = Assembly(sink)
    planned = list(shots(2))
    for number, shot in enumerate(planned):
        assembly.send(shot, arrives=number not in missing)
    assembly.assembler.close()
    moments = [(p.fov, p.timestep, p.role) for p in planned]
    seen = {m for n, m in enumerate(moments) if n not in missing}
    # Of light, what came is all there is.
    lit = {m for m in seen if m[2] is FrameRole.STIM}
    lost = {moments[number] for number in missing} - lit
    assert assembly.recorder.finish({}, 5.0)
    whole = {(s.fov, s.timestep, s.role) for s, _ in sink.stacks}
    assert whole == set(moments) - lost
    lines = sink.kinds("stack_incomplete")
    told = [(line["fov"], line["timestep"], line["role"]) for line in lines]
    assert sorted(told) == sorted((*m[:2], str(m[2])) for m in lost & seen)
    images = {m[:2] for m in lost & seen if m[2] is FrameRole.IMAGE}
    assert set(assembly.given_up) == images
