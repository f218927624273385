"""The account of light: never over a ceiling, the same when it is folded again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.errors import ContractError
from faro.policies import (
    CellShares,
    CellsSeen,
    DoseCeiling,
    DoseLedger,
    DoseRules,
    Light,
    fold,
)
from faro.testing.dose import random_run

NOBODY = np.zeros(1, np.int64)


def ids(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def flash(timestep: int, full_ms: float = 10.0, role: str = "image") -> Light:
    return Light(0, timestep, "Cyan", role, float(timestep), full_ms)


def masked(timestep: int, tracks: dict[int, float], at_s: float = 0.0) -> Light:
    shares = CellShares.of(ids(*tracks), np.array(list(tracks.values())))
    when_s = at_s or float(timestep)
    return Light(0, timestep, "Cyan", "stim", when_s, 10.0, 0.1, 1.0, timestep, shares)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_ceiling_is_ever_exceeded(seed: int) -> None:
    random_run(seed, 60)


def test_light_is_given_under_ceilings() -> None:
    assert sum(random_run(seed, 50) for seed in range(10)) > 50


def test_a_grey_mask_gives_each_cell_its_mean_level() -> None:
    ledger = DoseLedger()
    ledger.seen(0, 0, ids(1, 2, 3), ids(0, 0, 0))
    ledger.given(masked(0, {1: 1.0, 2: 0.5}))
    assert ledger.received(0, ids(1, 2, 3))["Cyan"].tolist() == [10.0, 5.0, 0.0]
    assert ledger.totals() == {0: {"Cyan": pytest.approx(1.0)}}


def test_light_on_the_whole_field_also_reaches_a_track_in_a_gap() -> None:
    ledger = DoseLedger()
    for timestep in range(5):
        ledger.given(flash(timestep))
        seen = ids(1) if timestep in {0, 4} else ids(2)
        ledger.seen(0, timestep, seen, NOBODY)
    assert ledger.received(0, ids(1, 2))["Cyan"].tolist() == [50.0, 40.0]


def test_a_track_begins_with_the_images_of_its_first_frame() -> None:
    ledger = DoseLedger()
    for timestep in range(3):
        ledger.given(flash(timestep))
    ledger.seen(0, 1, ids(5), NOBODY)  # the analysis is a frame behind
    assert ledger.received(0, ids(5), timestep=1)["Cyan"].tolist() == [10.0]
    assert ledger.received(0, ids(5))["Cyan"].tolist() == [20.0]


@pytest.mark.parametrize(("rule", "dose"), [("inherit", 30.0), ("reset", 10.0)])
def test_daughters_inherit_or_not(rule: str, dose: float) -> None:
    ledger = DoseLedger(DoseRules(at_division=rule))  # type: ignore[arg-type]
    ledger.given(flash(0))
    ledger.seen(0, 0, ids(1), NOBODY)
    ledger.given(masked(0, {1: 1.0}))
    ledger.given(flash(1))
    ledger.seen(0, 1, ids(2, 3), ids(1, 1))
    assert ledger.received(0, ids(2, 3))["Cyan"].tolist() == [dose, dose]


def test_a_mask_that_fired_before_its_cells_were_known_is_settled() -> None:
    ledger = DoseLedger(DoseRules((DoseCeiling(15, of="cell"),)))
    ledger.seen(0, 0, ids(1, 2), ids(0, 0))
    early = Light(0, 1, "Cyan", "stim", 1.0, 10.0, 0.1, 1.0, from_timestep=1)
    ledger.given(early)
    # until then everybody counts as lit
    assert not ledger.verdict(flash(1)).whole
    ledger.seen(0, 1, ids(1, 2), ids(0, 0))
    assert ledger.aimed(0, 1, "Cyan", CellShares.of(ids(1), np.array([1.0])))
    assert ledger.received(0, ids(1, 2))["Cyan"].tolist() == [10.0, 0.0]


def test_an_hour_is_forgotten_but_never_too_early() -> None:
    ceiling = DoseCeiling(25, per_s=3600.0)
    ledger = DoseLedger(DoseRules((ceiling,)))
    ledger.given(flash(0))
    ledger.given(flash(1))
    assert ledger.verdict(flash(3599)).ceiling == str(ceiling)
    assert ledger.verdict(flash(3600 + 181)).whole


def test_the_ledger_is_a_fold_over_what_was_recorded() -> None:
    rng = np.random.default_rng(3)
    rules = DoseRules((DoseCeiling(1e6, of="cell", per_s=10.0),))
    ledger, lights, frames = DoseLedger(rules), [], []
    tracks, newest = [1, 2, 3], 3
    for timestep in range(40):
        lights.append(flash(timestep))
        ledger.given(lights[-1])
        parents = np.zeros(3, np.int64)
        if rng.random() < 0.3:
            newest += 1
            place = int(rng.integers(3))
            parents[place], tracks[place] = tracks[place] * (timestep % 2), newest
        frame = CellsSeen(0, timestep, ids(*tracks), parents)
        frames.append(frame)
        ledger.seen(0, timestep, frame.track_id, frame.parent_id)
        if rng.random() < 0.5:
            lights.append(masked(timestep, {tracks[0]: 0.25, tracks[2]: 1.0}))
            ledger.given(lights[-1])
    again = fold(rules, lights, frames)
    now, then = ledger.received(0, ids(*tracks)), again.received(0, ids(*tracks))
    assert now["Cyan"].tolist() == then["Cyan"].tolist()
    assert ledger.totals() == again.totals()


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({"most_ms": 0}, "more than 0"),
        ({"most_ms": 5, "of": "dish"}, "'cell' or 'fov'"),
        ({"most_ms": 5, "per_s": -1.0}, "0 for the whole run"),
    ],
)
def test_a_ceiling_that_means_nothing_is_refused(words: object, match: str) -> None:
    with pytest.raises(ContractError, match=match):
        DoseCeiling(**words)  # type: ignore[arg-type]
