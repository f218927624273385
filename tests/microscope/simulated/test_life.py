"""What simulated cells do besides to move: adapt, express, bleach, divide, die."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.microscope.simulated.behaviour import KINDS, responses_of
from faro.microscope.simulated.bench import SettingsError, checked_settings
from faro.microscope.simulated.geometry import Box, Floats
from faro.microscope.simulated.population import shown
from faro.microscope.simulated.saved import load, save
from faro.microscope.simulated.world import World, WorldSettings

if TYPE_CHECKING:
    from pathlib import Path

    from faro.microscope.simulated.population import Numbers

HERE = Box(-80.0, -80.0, 80.0, 80.0)
HOUR_S = 3600.0
FAST: dict[str, Any] = {
    "division": {"cycle_s": 1800.0, "mitosis_s": 120.0},
    "death": {"per_h": 2.0, "lasts_s": 120.0},
}


def dish(seed: int = 3, **responses: Any) -> World:
    settings = WorldSettings(
        seed=seed, tile_um=200.0, cells_per_mm2=600.0, responses=responses
    )
    return World(settings)


def light(full_ms: float) -> Any:
    def light_at(x_um: Floats, _y_um: Floats) -> Floats:
        return np.full(x_um.shape, full_ms)

    return light_at


def course(
    world: World, name: str, doses_ms: list[float], every_s: float = 60.0
) -> Floats:
    """Return the mean of a column (t,) under one dose at each step."""
    means = []
    for number, dose_ms in enumerate(doses_ms):
        _, cells = world.cells(HERE, number * every_s)
        means.append(float(cells[name].mean()))
        if dose_ms:
            world.expose(HERE, number * every_s, light(dose_ms))
    return np.array(means)


def test_lasting_light_gives_a_pulse_that_settles() -> None:
    adapting = {"adaptation": 8.0, "mood_spread": 0.0}
    pulse = course(dish(erk_ktr=adapting), "translocated", [5.0] * 90)
    steady = course(dish(erk_ktr={"mood_spread": 0.0}), "translocated", [5.0] * 90)
    assert pulse.argmax() < 20
    assert pulse[-1] < 0.62 * pulse.max()
    assert steady[-1] == pytest.approx(steady.max(), rel=1e-3)


def test_a_ramp_gives_a_lower_peak_than_a_step() -> None:
    adapting = {"adaptation": 8.0, "mood_spread": 0.0}
    step = course(dish(erk_ktr=adapting), "translocated", [5.0] * 120)
    ramp = [5.0 * t / 119 * 0.05 ** (1 - t / 119) for t in range(120)]
    slow = course(dish(erk_ktr=adapting), "translocated", ramp)
    assert 0.05 < slow.max() < 0.75 * step.max()


def test_a_protein_comes_long_after_its_light() -> None:
    world = dish(gene_expression={"spread": 0.0})
    glow = course(world, "reporter_expressed", [10.0] * 10 + [0.0] * 230)
    half = int(np.searchsorted(glow, (glow[0] + glow[-1]) / 2))
    assert glow[10] < 1.05 * glow[0]
    assert glow[-1] > 1.5 * glow[0]
    assert half > 40  # minutes, after ten of light


def test_images_bleach_and_cells_recover() -> None:
    world = dish(photobleaching={"marker_ms": 1000.0, "renewal_s": 3600.0})
    for _ in range(10):
        world.expose(HERE, 0.0, light(50.0), "Red")
    _, cells = world.cells(HERE, 0.0)
    assert cells["marker_kept"] == pytest.approx(np.exp(-0.5))
    assert (cells["reporter_kept"] == 1).all()
    assert shown(cells, "marker") == pytest.approx(cells["marker"] * np.exp(-0.5))
    _, later = world.cells(HERE, 10 * HOUR_S)
    assert (later["marker_kept"] > 0.99).all()
    assert (later["dose"] == 0).all()  # only stimulation light is dose


def test_harmed_cells_die_others_live() -> None:
    left = {}
    for dose_ms in (0.0, 20_000.0):
        world = dish(phototoxicity={}, death={"per_h": 0.0})
        before, _ = world.cells(HERE, 0.0)
        world.expose(HERE, 0.0, light(dose_ms))
        after, _ = world.cells(HERE, 6 * HOUR_S)
        left[dose_ms] = np.isin(before, after).mean()
    assert left[0.0] == 1.0
    assert left[20_000.0] < 0.3


def test_a_dying_cell_stops_and_shrinks_and_is_bright() -> None:
    world = dish(migration={}, death={"per_h": 50.0, "lasts_s": 3600.0})
    _, cells = world.cells(HERE, 0.9 * HOUR_S)
    dying = cells["dying_s"] > 1800
    assert dying.any()
    assert (shown(cells, "nucleus")[dying] < 0.8 * cells["nucleus"][dying]).all()
    assert (shown(cells, "marker")[dying] > 1.3 * cells["marker"][dying]).all()
    assert (cells["vx"][dying] == 0).all()


def test_cells_double_in_a_cycle_and_daughters_differ() -> None:
    world = dish(migration={}, erk_ktr={}, division={"cycle_s": 7200.0, "spread": 0.1})
    before, _ = world.cells(Box(-99.0, -99.0, 99.0, 99.0), 0.0)
    after, cells = world.cells(Box(-99.0, -99.0, 99.0, 99.0), 7200.0)
    assert 1.6 < len(after) / len(before) < 2.4
    born = cells["parent"] > 0
    mothers, counts = np.unique(cells["parent"][born], return_counts=True)
    assert counts.max() == 2
    assert np.isin(mothers, before).mean() > 0.9
    assert len(set(cells["cycle_s"])) == len(after)
    pair = np.flatnonzero(cells["parent"] == mothers[counts == 2][0])
    assert np.ptp(cells["rest"][pair]) == 0  # they take over what the mother was


def lineage(events: list[Any]) -> tuple[set[int], dict[int, str]]:
    """Check that a life makes sense; return who was born, and the end of each."""
    born: set[int] = set()
    ended: dict[int, str] = {}
    for event in events:
        if event.kind == "born":
            assert ended[event.parent_id] == "divided"
            assert event.cell_id not in born
            born.add(event.cell_id)
        else:
            assert event.cell_id not in ended
            ended[event.cell_id] = event.kind
    return born, ended


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31), looks=st.lists(st.floats(0, 4000), max_size=5))
def test_nobody_comes_from_nothing_or_vanishes(seed: int, looks: list[float]) -> None:
    quiet, busy = dish(seed, **FAST), dish(seed, **FAST)
    first, _ = quiet.cells(Box(-99.0, -99.0, 99.0, 99.0), 0.0)
    for cell_s in sorted(looks):
        busy.cells(HERE, cell_s)
    for world in (quiet, busy):
        last, cells = world.cells(Box(-99.0, -99.0, 99.0, 99.0), 4000.0)
        born, ended = lineage(world.events())
        everybody = set(first.tolist()) | born
        assert set(last.tolist()) == everybody - ended.keys()
        assert len(set(last.tolist())) == len(last)
        assert np.isfinite(np.stack(list(cells.values()))).all()
    assert np.array_equal(quiet.cells(HERE, 4000.0)[0], busy.cells(HERE, 4000.0)[0])


def test_a_dish_with_births_is_saved_and_lives_on(tmp_path: Path) -> None:
    first, second = dish(**FAST), dish(**FAST)
    first.cells(HERE, 1500.0)
    clock = {"now_s": 0.0, "offset_s": 0.0}
    save({"clock": clock, "world": first.state()}, tmp_path / "dish.npz")
    second.restore(load(tmp_path / "dish.npz")["world"])
    (ids, cells), (others, same) = (w.cells(HERE, 3000.0) for w in (first, second))
    assert np.array_equal(ids, others)
    assert all(np.array_equal(cells[name], same[name]) for name in cells)


def test_every_response_can_be_chosen_and_all_at_once() -> None:
    world = dish(**cast("Any", {name: {} for name in KINDS}))
    world.expose(HERE, 60.0, light(10.0))
    for line in ("Red", "Green"):
        world.expose(HERE, 60.0, light(10.0), line)
    _, cells = world.cells(HERE, 600.0)
    assert all(np.isfinite(values).all() for values in cells.values())
    assert [type(r) for r in responses_of({"death": {}, "migration": {}})] == [
        KINDS["migration"],
        KINDS["death"],
    ]


def test_all_that_is_wrong_with_responses_is_said() -> None:
    words: Numbers | Any = {
        "flying": {},
        "erk_ktr": {"gain": 1.0, "lag_s": 0.0, "rise": -1.0},
    }
    with pytest.raises(SettingsError) as refused:
        checked_settings(world={"responses": words})
    said = str(refused.value)
    for part in ("'flying'", "no 'gain'", "lag_s is 0", "rise is -1.0", "migration"):
        assert part in said
