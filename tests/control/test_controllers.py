"""Controllers: limits, anti-windup, gaps, divisions, state; each cell on its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from faro.control import (
    MPC,
    PID,
    CellTargets,
    FeedForward,
    Relay,
    ResponseModel,
    SetPoint,
    TimeCourse,
)
from faro.errors import ContractError
from faro.model import TrackValues
from faro.protocols import ControlInput, FeedbackController, Reference

if TYPE_CHECKING:
    from collections.abc import Iterable

Floats = npt.NDArray[np.float64]
MODEL = ResponseModel(2.0, (120.0,), baseline=1.0)
SLOW = ResponseModel(2.0, (180.0, 60.0), baseline=1.0)
CONTROLLERS: dict[str, Any] = {
    "relay": Relay(band=0.2),
    "pid": PID(kp=0.6, ti_s=200.0, td_s=20.0, smoothing_s=30.0),
    "pid with feed-forward": PID(0.5, 300.0, feed_forward=FeedForward(2.0, 1.0)),
    "feed-forward": FeedForward(2.0, 1.0),
    "mpc 1": MPC(MODEL, 60.0),
    "mpc 2": MPC(SLOW, 60.0, horizon=10),
}
every_controller = pytest.mark.parametrize(
    "controller", list(CONTROLLERS.values()), ids=list(CONTROLLERS)
)


def seen(
    time_s: float,
    tracks: Iterable[int],
    measured: Iterable[float],
    aim: float | Floats = 2.0,
    parents: Iterable[int] | None = None,
) -> ControlInput:
    """Return one frame."""
    ids = np.array(list(tracks), np.int64)
    aims = np.broadcast_to(np.asarray(aim, float), ids.shape)
    above = None if parents is None else np.array(list(parents), np.int64)
    values = np.array(list(measured), float)
    return ControlInput(time_s, ids, values, lambda _: aims, above)


def driven(controller: Any, frames: Iterable[ControlInput]) -> list[Floats]:
    """Return the doses of each frame."""
    state, doses = TrackValues(), []
    for frame in frames:
        dose, state = controller.step(frame, state)
        doses.append(dose)
    return doses


@every_controller
def test_it_is_a_controller(controller: object) -> None:
    assert isinstance(controller, FeedbackController)


@every_controller
@given(
    measured=st.lists(
        st.lists(st.floats(-1e6, 1e6) | st.just(np.nan), min_size=3, max_size=3),
        min_size=1,
        max_size=6,
    ),
    aim=st.floats(-1e3, 1e3) | st.just(np.nan),
    gap_s=st.floats(0, 1e4),
)
@settings(max_examples=30, deadline=None)
def test_doses_are_never_beyond_the_light(
    controller: Any, measured: list[list[float]], aim: float, gap_s: float
) -> None:
    frames = [seen(i * gap_s, (4, 9, 2), row, aim) for i, row in enumerate(measured)]
    for dose in driven(controller, frames):
        assert dose.shape == (3,)
        assert ((dose >= 0) & (dose <= 1)).all()
        if np.isnan(aim):
            assert not dose.any(), "a cell without a set-point gets no light"


def noisy_frames(ids: list[int], seed: int = 0, n: int = 8) -> list[ControlInput]:
    rng = np.random.default_rng(seed)
    values = {i: 1.5 + 0.3 * rng.standard_normal(n) for i in range(1, 9)}
    aims = {i: 1.2 + 0.2 * i for i in range(1, 9)}
    goal = np.array([aims[i] for i in ids])
    return [seen(60.0 * t, ids, [values[i][t] for i in ids], goal) for t in range(n)]


@every_controller
def test_cells_do_not_know_of_each_other(controller: Any) -> None:
    all_ids, some = [1, 2, 3, 4, 5, 6, 7, 8], [7, 2, 5]
    whole = driven(controller, noisy_frames(all_ids))
    part = driven(controller, noisy_frames(some))
    at = [all_ids.index(i) for i in some]
    for one, other in zip(whole, part, strict=True):
        assert other == pytest.approx(one[at], abs=1e-9)


@every_controller
def test_a_stored_state_goes_on_as_if_nothing_had_been(controller: Any) -> None:
    frames = noisy_frames([3, 1, 2])
    through = driven(controller, frames)
    state = TrackValues()
    for frame, expected in zip(frames, through, strict=True):
        text = json.dumps(state.state(), allow_nan=False)
        dose, state = controller.step(frame, TrackValues.restored(json.loads(text)))
        assert dose.tolist() == expected.tolist()


@every_controller
def test_no_cells_no_doses(controller: Any) -> None:
    dose, state = controller.step(seen(0.0, [], []), TrackValues())
    assert dose.shape == (0,)
    assert len(state.track_id) == 0


@every_controller
def test_what_could_not_be_measured_keeps_its_dose(controller: Any) -> None:
    frames = [seen(0.0, [1], [1.6]), seen(60.0, [1], [1.7]), seen(120.0, [1], [np.nan])]
    doses = driven(controller, frames)
    assert doses[2] == doses[1]
    assert driven(controller, [seen(0.0, [1], [np.nan])]) == [0.0]


@pytest.mark.parametrize("name", ["pid", "mpc 1", "mpc 2", "relay"])
def test_a_track_survives_a_gap_and_daughters_inherit_or_begin_anew(name: str) -> None:
    controller = CONTROLLERS[name]
    past = [seen(60.0 * t, [1], [1.95], 2.0) for t in range(5)]
    state = TrackValues()
    for frame in [seen(-60.0, [1], [1.0], 2.0), *past]:
        _, state = controller.step(frame, state)
    _, empty = controller.step(seen(300.0, [], []), state)
    assert len(empty.track_id) == 1, "kept while the track is away"

    def next_dose(tracks: list[int], parents: list[int] | None) -> Floats:
        frame = seen(360.0, tracks, [1.95] * len(tracks), 2.0, parents)
        dose: Floats = controller.step(frame, empty)[0]
        return dose

    again = next_dose([1], None)
    assert next_dose([7, 8], [1, 1]) == pytest.approx([again[0]] * 2)
    assert next_dose([7], None) == pytest.approx(next_dose([99], [0]))
    assert next_dose([7], None)[0] != pytest.approx(again[0], abs=1e-3)


def test_what_is_gone_for_long_is_forgotten() -> None:
    values = TrackValues().updated(np.array([1, 2]), {"a": np.array([1.0, 2.0])})
    for _ in range(30):
        values = values.updated(np.array([2]), {"a": np.array([3.0])})
    assert values.track_id.tolist() == [2]
    assert values.of(np.array([1, 2]), "a").tolist()[1] == 3.0


def test_a_relay_keeps_what_it_has_within_the_band() -> None:
    measured = [1.0, 1.95, 2.05, 2.2, 2.05, 1.95, 1.8]
    frames = [seen(i, [1], [m], 2.0) for i, m in enumerate(measured)]
    doses = driven(Relay(band=0.2, highest=0.7), frames)
    assert np.concatenate(doses).tolist() == [0.7, 0.7, 0.7, 0, 0, 0, 0.7]
    lowers = driven(Relay(light_raises=False), frames[:1] + frames[3:4])
    assert np.concatenate(lowers).tolist() == [0, 1]


def test_a_pid_is_the_textbook_formula() -> None:
    kp, ti_s, td_s, dt_s = 0.2, 100.0, 30.0, 10.0
    measured = [1.0, 1.1, 1.15, 1.3]
    frames = [seen(dt_s * i, [5], [m], 2.0) for i, m in enumerate(measured)]
    doses = np.concatenate(driven(PID(kp, ti_s, td_s), frames))
    integral, expected = 0.0, []
    for i, value in enumerate(measured):
        slope = (value - measured[i - 1]) / dt_s if i else 0.0
        integral += (2.0 - value) * dt_s if i else 0.0
        expected.append(kp * (2.0 - value + integral / ti_s - td_s * slope))
    assert doses == pytest.approx(expected)


def test_two_frames_of_one_moment_have_no_slope() -> None:
    frames = [seen(0.0, [1], [0.0], 0.0), seen(5e-324, [1], [1.0], 0.0)]
    assert np.concatenate(driven(PID(0.6, 200.0, 20.0), frames)).tolist() == [0, 0]


def test_a_step_of_the_set_point_gives_no_derivative_kick() -> None:
    quiet, moved = (
        driven(
            PID(0.1, None, td_s=1e4),
            [seen(0, [1], [1.0], 1.0), seen(1, [1], [1.0], aim)],
        )
        for aim in (1.0, 3.0)
    )
    assert moved[1] - quiet[1] == pytest.approx(0.1 * 2.0)


def test_the_integral_does_not_wind_up() -> None:
    controller = PID(kp=0.05, ti_s=20.0)
    out_of_reach = [seen(10.0 * t, [1], [1.0], 50.0) for t in range(500)]
    back = [seen(5000.0 + 10 * t, [1], [1.0], 0.5) for t in range(8)]
    doses = driven(controller, out_of_reach + back)
    assert doses[499] == 1.0
    assert np.concatenate(doses[500:])[-1] < 1.0, "it leaves the limit soon"
    gain = 0.05 / 20.0
    wound_up = gain * 49.0 * 10.0 * 499
    assert wound_up > 100, "without anti-windup it would have stayed for ever"


def doses_by_solver(
    mpc: MPC, lags: Floats, level: float, aims: Floats, last: float
) -> Floats:
    """Return the best doses of one cell, by a general solver."""
    forward, kick = mpc.model.matrices(mpc.interval_s)
    n = mpc.horizon

    def predicted(doses: Floats) -> Floats:
        state, out = lags.copy(), []
        for dose in doses:
            state = forward @ state + kick * dose
            out.append(state[-1])
        return np.array(out)

    free = predicted(np.zeros(n))
    forced = np.stack([predicted(e) - free for e in np.eye(n)], axis=1)
    change = np.eye(n) - np.eye(n, k=-1)
    target = (aims - level) / mpc.model.gain - free
    first = np.zeros(n)
    first[0] = last
    root = np.sqrt(mpc.smoothness)
    found = lsq_linear(
        np.vstack([forced, root * change]),
        np.concatenate([target, root * first]),
        (mpc.lowest, mpc.highest),
        tol=1e-12,
    )
    best: Floats = found.x
    return best


@pytest.mark.parametrize("model", [MODEL, SLOW], ids=["first order", "second order"])
def test_mpc_gives_what_a_general_solver_finds(model: ResponseModel) -> None:
    mpc = MPC(model, 60.0, horizon=8, trust=1.0)
    rng = np.random.default_rng(1)
    for _ in range(20):
        value, aim = rng.uniform(0.5, 3.5, 2)
        dose, state = mpc.step(seen(0.0, [1], [value], aim), TrackValues())
        aims = np.full(8, aim)
        lags = np.zeros(model.order)
        expected = doses_by_solver(mpc, lags, value, aims, 0.0)[0]
        assert dose[0] == pytest.approx(expected, abs=5e-3)
        del state


def test_mpc_looks_ahead() -> None:
    course = TimeCourse((0.0, 240.0), (1.0, 2.5))
    ids = np.array([1], np.int64)
    now = ControlInput(180.0, ids, np.array([1.0]), lambda t: course.at(t, 0, ids))
    dose, _ = MPC(MODEL, 60.0, smoothness=0.001).step(now, TrackValues())
    assert dose[0] > 0.05, "light begins before the set-point rises"
    assert PID(1.0).step(now, TrackValues())[0][0] == 0


def plant(
    controller: Any, aims: Floats, *, seed: int = 3, n: int = 240
) -> tuple[Floats, Floats]:
    """Return features and doses (n, cells) of cells that differ and drift."""
    rng = np.random.default_rng(seed)
    cells = len(aims)
    gain = 2.0 * rng.uniform(0.6, 1.5, cells)
    tau_s = 120.0 * rng.uniform(0.7, 1.4, cells)
    baseline = 1.0 + 0.15 * rng.standard_normal(cells)
    drift = 0.4 * rng.uniform(-1, 1, cells)
    ids = np.arange(1, cells + 1)
    lag, state, values, doses = np.zeros(cells), TrackValues(), [], []
    for t in range(n):
        true = baseline + drift * t / n + gain * lag
        noisy = true + 0.02 * rng.standard_normal(cells)
        now = ControlInput(60.0 * t, ids, noisy, lambda _: aims)
        dose, state = controller.step(now, state)
        lag += (1 - np.exp(-60.0 / tau_s)) * (dose - lag)
        values.append(true)
        doses.append(dose)
    return np.array(values), np.array(doses)


def test_pid_and_mpc_hold_individual_set_points_better_than_the_best_relay() -> None:
    aims = np.random.default_rng(0).uniform(1.6, 2.0, 60)

    def rms(controller: Any) -> float:
        values, _ = plant(controller, aims)
        return float(np.sqrt(np.square(values[40:] - aims).mean()))

    relays = [
        Relay(band, highest)
        for band in (0.0, 0.02, 0.05, 0.1)
        for highest in (0.4, 0.5, 0.6, 0.8, 1.0)
    ]
    best = min(map(rms, relays))
    assert rms(PID(kp=0.6, ti_s=150.0)) <= best / 2
    assert rms(MPC(MODEL, 60.0)) <= best / 2


def test_set_points_of_every_kind() -> None:
    ids = np.array([7, 2, 9], np.int64)
    course = TimeCourse((10.0, 20.0), (1.0, 3.0))
    assert [course.at(t, 0, ids)[0] for t in (0, 10, 19.9, 20, 99)] == [1, 1, 1, 3, 3]
    linear = TimeCourse((10.0, 20.0), (1.0, 3.0), "linear")
    assert linear.at(15.0, 0, ids).tolist() == [2, 2, 2]
    table = {"track_id": [9, 7, 9], "value": [1.0, 2.0, 3.0], "from_s": [0, 0, 60]}
    targets = CellTargets(table)
    np.testing.assert_array_equal(targets.at(0.0, 0, ids), [2, np.nan, 1])
    np.testing.assert_array_equal(targets.at(60.0, 5, ids), [2, np.nan, 3])
    by_fov = CellTargets({"track_id": [7, 7], "value": [1, 2], "fov": [0, 1]}, 0.5)
    assert by_fov.at(0.0, 1, ids).tolist() == [2, 0.5, 0.5]
    assert by_fov.at(0.0, 4, ids).tolist() == [0.5, 0.5, 0.5]
    assert (
        CellTargets({"track_id": [], "value": []}, 4).at(0, 0, ids).tolist() == [4] * 3
    )
    for reference in (SetPoint(2), course, targets):
        assert isinstance(reference, Reference)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Relay(band=-1), r"band=\.\.\.\) is -1. Use 0 or more"),
        (lambda: Relay(highest=2), "doses from 0.0 to 2"),
        (lambda: PID(kp=np.nan), "kp=.* is nan"),
        (lambda: PID(1, ti_s=0), "ti_s=.* is 0"),
        (lambda: PID(1, lowest=0.5, highest=0.5), "lowest < highest"),
        (lambda: FeedForward(0), "gain=.* is 0. Fit a response"),
        (lambda: MPC(MODEL, 0), "interval_s=.* is 0"),
        (lambda: MPC(MODEL, 1, trust=2), "trust=.* is 2"),
        (lambda: MPC(ResponseModel(0, (1,)), 1), "its gain is 0"),
        (lambda: ResponseModel(1, (1, 2, 3)), "Give one or two"),
        (lambda: ResponseModel(1, (-1,)), "is -1. Use more than 0"),
        (lambda: TimeCourse((2, 1), (0, 0)), "ascending times"),
        (lambda: TimeCourse((), ()), "times .. and values"),
        (lambda: SetPoint(np.inf), "is inf"),
        (lambda: CellTargets({"value": [1]}), "Give track_id and value"),
    ],
)
def test_what_controls_nothing_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        make()
