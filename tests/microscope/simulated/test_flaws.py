"""A microscope at which things go wrong, in the same way each time."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro import SimulatedMicroscope
from faro.errors import HardwareError
from faro.experiment import Channel, RTMSequence
from faro.microscope.simulated import BenchSettings, FlawSettings
from faro.microscope.simulated.bench import Bench, SettingsError
from faro.microscope.simulated.flaws import Flaws
from faro.run import Controller
from faro.storage import OmeZarrWriter

if TYPE_CHECKING:
    from pathlib import Path

HOUR_S = 3600.0


def bench(now_s: float = 0.0, **flaws: Any) -> Bench:
    settings = BenchSettings(
        image_shape=(96, 96), time_scale=1e-3, flaws=FlawSettings(**flaws)
    )
    found = Bench(settings)
    found.clock.set(now_s)
    found.light.shutter_open = True
    found.light.line, found.light.levels_percent["Red"] = "Red", 50.0
    return found


def test_the_dish_drifts_and_the_truth_drifts_with_it() -> None:
    still, moving = bench(HOUR_S), bench(HOUR_S, stage_drift_um_per_h=(6.5, -13.0))
    before, after = still.truth(), moving.truth()
    common, first, second = np.intersect1d(before.ids, after.ids, return_indices=True)
    assert len(common) > 0
    assert after.x_px[second] - before.x_px[first] == pytest.approx(-10.0)
    assert after.y_px[second] - before.y_px[first] == pytest.approx(20.0)


def test_a_move_ends_beside_its_goal_and_the_truth_knows() -> None:
    exact, sloppy = bench(), bench(stage_error_um=2.0)
    offsets = []
    for x_um in (0.0, 10.0, 20.0, 30.0):
        for one in (exact, sloppy):
            one.moved(x_um, 0.0)
        assert sloppy.light.x_um == x_um  # what the stage says
        found = sloppy.field().x_um - exact.field().x_um
        assert found == pytest.approx(sloppy.light.missed_um[0])
        offsets.append(found)
    assert len(set(offsets)) == 4
    assert 0.1 < np.std(offsets) < 6.0


def test_focus_is_lost_and_the_image_is_blurred() -> None:
    sharp, blurred = bench(HOUR_S), bench(HOUR_S, focus_drift_um_per_h=12.0)
    assert sharp.expose(50.0).std() > 1.2 * blurred.expose(50.0).std()
    blurred.light.z_um = 12.0
    assert blurred.expose(50.0).std() == pytest.approx(
        sharp.expose(50.0).std(), rel=0.02
    )
    wander = Flaws(FlawSettings(focus_wander_um=1.0), seed=1)
    heights = [wander.focus_um(t) for t in np.arange(0, 24 * HOUR_S, 60.0)]
    assert heights[0] == 0.0
    assert 0.4 < np.std(heights) < 2.0
    assert np.abs(np.diff(heights)).max() < 0.2


def test_a_part_of_the_frames_is_lost_the_same_each_time() -> None:
    flaws = Flaws(FlawSettings(dropped_fraction=0.25), seed=2)
    lost = [flaws.dropped(float(t), 0.0, 0.0, "Red/miRFP") for t in range(400)]
    again = [flaws.dropped(float(t), 0.0, 0.0, "Red/miRFP") for t in range(400)]
    assert lost == again
    assert 0.18 < np.mean(lost) < 0.32


def test_a_lost_frame_has_given_its_light() -> None:
    losing = bench(dropped_fraction=1.0)
    losing.light.line, losing.light.levels_percent["Cyan"] = "Cyan", 50.0
    losing.light.pattern = np.full(losing.settings.slm_shape, 255, np.uint8)
    with pytest.raises(HardwareError, match=r"lost.*dropped_fraction"):
        losing.expose(10.0)
    assert (losing.truth().dose_ms > 0).all()


def test_flaws_that_mean_nothing_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"dropped_fraction.*device"):
        SimulatedMicroscope(
            flaws={"dropped_fraction": 2.0, "faults": [{"device": "Coffee"}]}
        )


def sequence(n: int, **more: Any) -> RTMSequence:
    return RTMSequence(
        time_plan={"interval": 0.01, "loops": n},
        channels=[Channel("miRFP", 20), Channel("mScarlet3", 20)],
        **more,
    )


def test_a_device_that_is_stuck_does_nothing() -> None:
    faults = [{"device": "XY", "kind": "stuck"}, {"device": "Z", "kind": "stuck"}]
    with SimulatedMicroscope(image_shape=(64, 64), flaws={"faults": faults}) as rig:
        rig.mmc.setXYPosition(100.0, 50.0)
        rig.mmc.setPosition(5.0)
        assert rig.mmc.getXYPosition() == (0.0, 0.0)
        assert rig.mmc.getPosition() == 0.0


def test_a_device_that_fails_for_a_while_costs_frames_and_not_the_run(
    tmp_path: Path,
) -> None:
    fault = {"device": "Filter", "from_s": 0.015, "until_s": 0.025}
    with SimulatedMicroscope(image_shape=(64, 64), flaws={"faults": [fault]}) as rig:
        writer = OmeZarrWriter(tmp_path / "run")
        summary = Controller(rig, writer=writer).run_experiment(sequence(4))
        assert not rig.mmc.getShutterOpen()
    assert (summary.n_stacks, summary.n_errors) == (3, 2)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_truth_of_a_run_is_on_disk(tmp_path: Path) -> None:
    folder = tmp_path / "truth"
    fast = {"division": {"cycle_s": 600.0}, "death": {"per_h": 5.0, "lasts_s": 60.0}}
    with SimulatedMicroscope(
        image_shape=(128, 128),
        time_scale=10_000.0,
        responses={"migration": {}, "erk_ktr": {}, **fast},
        truth=folder,
    ) as rig:
        Controller(rig).run_experiment(sequence(6, stage_positions=[(0, 0), (400, 0)]))
        now = rig.truth(400, 0)
    found = rows(folder / "cells.csv")
    moments = {(r["time_s"], r["stage_x_um"]) for r in found}
    assert len(moments) == 12  # once each, though there are two channels
    last = [r for r in found if (r["time_s"], r["stage_x_um"]) == max(moments)]
    by_id = {int(r["id"]): r for r in last}
    shared = [n for n, own in enumerate(now.ids) if int(own) in by_id]
    assert shared
    for name in ("y_px", "ratio", "phase", "parent"):
        assert name in last[0]
    ends = rows(folder / "life.csv")
    kinds = {r["event"] for r in ends}
    assert kinds == {"born", "divided", "died"}
    divided = {r["id"] for r in ends if r["event"] == "divided"}
    assert {r["parent"] for r in ends if r["event"] == "born"} == divided
    with SimulatedMicroscope(truth=folder, image_shape=(64, 64)) as rig:
        before = (folder / "cells.csv").read_bytes()
        Controller(rig).run_experiment(sequence(1))
    assert (folder / "cells.csv").read_bytes() == before
    assert len(rows(folder / "cells-2.csv")) > 0
