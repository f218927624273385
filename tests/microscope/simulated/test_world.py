"""The dish is a function of seed, place, time and light, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.microscope.simulated.erk import ErkKtr
from faro.microscope.simulated.geometry import Box, Floats
from faro.microscope.simulated.responses import CellLight, Migration
from faro.microscope.simulated.world import World, WorldSettings, WorldStateError

if TYPE_CHECKING:
    from faro.microscope.simulated.population import Numbers

SMALL = WorldSettings(seed=3, tile_um=200.0, cells_per_mm2=800.0)
HERE = Box(-80.0, -80.0, 80.0, 80.0)
ACROSS = Box(20.0, 20.0, 180.0, 180.0)
FAR = Box(5_000.0, -9_000.0, 5_160.0, -8_840.0)


def snapshot(world: World, box: Box, cell_s: float) -> dict[str, list[float]]:
    ids, cells = world.cells(box, cell_s)
    return {"ids": ids.tolist()} | {name: v.tolist() for name, v in cells.items()}


def upper_half(x_um: Floats, y_um: Floats) -> Floats:
    """Light everything above y = 0."""
    return np.where(y_um < 0, 10.0, 0.0) + 0 * x_um


def cap_of(cells: Numbers, reach: float = 0.3) -> Any:
    """Return light on the upper cap of every cell, where it is now."""
    x, y, radius = cells["x"], cells["y"], cells["radius"]

    def light_at(x_um: Floats, y_um: Floats) -> Floats:
        nearest = np.hypot(x_um[..., None] - x, y_um[..., None] - y).argmin(axis=-1)
        above = y_um < y[nearest] - reach * radius[nearest]
        return np.where(above, 10.0, 0.0)

    return light_at


@settings(max_examples=20)
@given(
    looks=st.lists(
        st.tuples(st.sampled_from([HERE, ACROSS, FAR]), st.floats(0, 900)), max_size=6
    )
)
def test_what_was_looked_at_before_changes_nothing(
    looks: list[tuple[Box, float]],
) -> None:
    quiet, busy = World(SMALL), World(SMALL)
    for box, cell_s in sorted(looks, key=lambda look: look[1]):
        busy.cells(box, cell_s)
    for box in (FAR, HERE, ACROSS):
        assert snapshot(busy, box, 900.0) == snapshot(quiet, box, 900.0)


def test_light_elsewhere_changes_nothing_here() -> None:
    lit, dark = World(SMALL), World(SMALL)
    lit.expose(FAR, 100.0, lambda x, _: np.full(x.shape, 10.0))
    assert snapshot(lit, HERE, 600.0) == snapshot(dark, HERE, 600.0)
    assert snapshot(lit, FAR, 600.0) != snapshot(dark, FAR, 600.0)


def test_seeds_differ() -> None:
    one = snapshot(World(WorldSettings(seed=1)), HERE, 0.0)
    two = snapshot(World(WorldSettings(seed=2)), HERE, 0.0)
    assert one["x"] != two["x"]


def test_a_saved_dish_lives_on_like_the_first() -> None:
    first, second = World(SMALL), World(SMALL)
    for cell_s in (100.0, 200.0):
        first.expose(HERE, cell_s, upper_half)
    state = first.state()
    json.dumps(state["settings"])
    second.restore(state)
    for world in (first, second):
        world.expose(ACROSS, 400.0, upper_half)
    assert snapshot(first, ACROSS, 900.0) == snapshot(second, ACROSS, 900.0)


def test_a_saved_state_is_not_changed_by_living_on() -> None:
    world = World(SMALL)
    world.expose(HERE, 100.0, upper_half)
    state = world.state()
    before = {name: v.copy() for name, v in state["tiles"]["0,0"]["cells"].items()}
    world.expose(HERE, 700.0, upper_half)
    after = state["tiles"]["0,0"]["cells"]
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_dish_of_other_settings_is_refused() -> None:
    state = World(WorldSettings(seed=1)).state()
    with pytest.raises(WorldStateError, match=r"'seed': 1.*'seed': 2.*saved settings"):
        World(WorldSettings(seed=2)).restore(state)


def test_there_is_an_end_of_the_dish() -> None:
    with pytest.raises(WorldStateError, match="Stay within 16384 mm"):
        World().cells(Box(1e9, 0.0, 1e9 + 1, 1.0), 0.0)


def test_cells_keep_apart_for_hours() -> None:
    world = World(WorldSettings(seed=5))
    _, cells = world.cells(Box(-240.0, -240.0, 240.0, 240.0), 3600.0)
    x, y, nucleus = cells["x"], cells["y"], cells["nucleus"]
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    np.fill_diagonal(distance, np.inf)
    reach = nucleus[:, None] + nucleus
    assert len(x) > 150
    assert (distance > reach).all()


def test_ids_are_unique_and_stay_with_their_cells() -> None:
    world = World(SMALL)
    wide = Box(-290.0, -290.0, 290.0, 290.0)
    ids, before = world.cells(wide, 0.0)
    later_ids, after = world.cells(wide, 300.0)
    assert len(set(ids.tolist())) == len(ids)
    common, mine, theirs = np.intersect1d(ids, later_ids, return_indices=True)
    assert len(common) > 0.9 * len(ids)
    assert np.array_equal(before["radius"][mine], after["radius"][theirs])
    moved = np.hypot(
        before["x"][mine] - after["x"][theirs], before["y"][mine] - after["y"][theirs]
    )
    assert 0 < moved.max() < 20


def test_an_empty_dish_works() -> None:
    world = World(WorldSettings(cells_per_mm2=1e-9))
    world.expose(HERE, 100.0, upper_half)
    ids, cells = world.cells(HERE, 200.0)
    assert ids.size == 0
    assert cells["x"].size == 0


def test_cells_go_where_their_front_is_lit_and_their_reporter_rises() -> None:
    lit, dark = World(WorldSettings(seed=7)), World(WorldSettings(seed=7))
    box = Box(-200.0, -200.0, 200.0, 200.0)
    ids, start = dark.cells(box, 0.0)
    for cell_s in range(0, 1800, 90):
        _, cells = lit.cells(box.grown(30.0), float(cell_s))
        lit.expose(box, float(cell_s), cap_of(cells))
    moved, ratios = {}, {}
    for name, world in (("lit", lit), ("dark", dark)):
        now_ids, now = world.cells(box.grown(50.0), 1800.0)
        found = np.searchsorted(now_ids, ids)
        moved[name] = (now["y"][found] - start["y"]).mean() / 0.65
        ratios[name] = np.median(now["ratio"][found])
    assert -25 < moved["lit"] < -8
    assert abs(moved["dark"]) < 2
    assert 1.5 < ratios["lit"] / ratios["dark"] < 2.3


def one_cell() -> Numbers:
    random = np.random.default_rng(0)
    cells = {"x": np.zeros(1), "y": np.zeros(1)}
    ErkKtr(mood_spread=0.0).start(cells, random)
    Migration().start(cells, random)
    return cells


def light(dose_ms: float, toward_y: float = 0.0) -> CellLight:
    return CellLight(np.array([dose_ms]), np.zeros(1), np.array([toward_y]))


@given(st.floats(0, 50), st.floats(0, 50))
def test_the_reporter_rises_with_dose_and_saturates(less: float, more: float) -> None:
    erk, random = ErkKtr(mood_spread=0.0), np.random.default_rng(0)
    ratios, cell = [], one_cell()
    for dose_ms in sorted((less, more)):
        cell = one_cell()
        erk.expose(cell, light(dose_ms))
        erk.step(cell, 60.0, random)
        ratios.append(float(cell["ratio"][0]))
    ceiling = float(cell["rest"][0] * (1 + cell["gain"][0]))
    assert ratios[0] <= ratios[1] <= ceiling


def test_the_reporter_decays_in_minutes() -> None:
    erk, random, cell = ErkKtr(mood_spread=0.0), np.random.default_rng(0), one_cell()
    rest = float(cell["ratio"][0])
    erk.expose(cell, light(100.0))
    course = []
    for _ in range(120):
        erk.step(cell, 30.0, random)
        course.append(float(cell["ratio"][0]))
    peak = int(np.argmax(course))
    assert 1 < peak < 10
    assert course[-1] < rest + 0.01 * (max(course) - rest)


def test_even_light_gives_no_direction() -> None:
    cell = one_cell()
    Migration().expose(cell, light(50.0, toward_y=0.0))
    assert cell["polarity_y"][0] == 0
    Migration().expose(cell, light(50.0, toward_y=-0.4))
    assert -1 <= cell["polarity_y"][0] < -0.9
