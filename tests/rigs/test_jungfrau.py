"""Jungfrau: no DMD, z left to the autofocus, a stage that needs time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import faro
from faro.rigs.pertzlab import Jungfrau
from faro.testing.microscope import event_of

if TYPE_CHECKING:
    from tests.rigs.conftest import Workshop

LABELS = {"group": "Channel", "dmd": None}


def test_it_moves_the_stage_waits_and_leaves_z_alone(workshop: Workshop) -> None:
    jungfrau, bench = workshop.make(Jungfrau, labels=LABELS)
    assert faro.Jungfrau is Jungfrau
    assert jungfrau.facts().slm_shape is None
    assert jungfrau.dmd is None
    events = [event_of(exposure=2, x_pos=4, z_pos=9)]
    bench.stage_sticks = False
    thread = jungfrau.run_mda(iter(events))
    thread.join(20)
    assert thread.error is None
    assert not bench.diary.of("z ")
    noted = dict(zip(bench.diary.lines, bench.diary.times_s, strict=True))
    assert noted["snap"] - noted["stage 4 0"] >= 0.2


def test_it_is_released_as_every_rig_is(workshop: Workshop) -> None:
    jungfrau, bench = workshop.make(Jungfrau, labels=LABELS)
    assert jungfrau.shutdown().ok
    assert [line.split()[0] for line in bench.diary.lines[-5:]] == ["release"] * 5
