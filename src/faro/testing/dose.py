"""Random light under random ceilings, checked against sums that know no shortcuts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from faro.policies import CellShares, DoseCeiling, DoseLedger, DoseRules, Light

CHANNELS = ("Red", "Cyan")
TOLERANCE = 1.0 + 1e-6


def random_rules(random: np.random.Generator) -> DoseRules:
    """Return a few ceilings."""
    count = int(random.integers(1, 5))
    ceilings = tuple(
        DoseCeiling(
            float(random.uniform(20, 400)),
            of="cell" if random.random() < 0.5 else "fov",
            channel=str(random.choice(["", *CHANNELS])),
            per_s=float(random.choice([0.0, 50.0, 300.0])),
        )
        for _ in range(count)
    )
    when = "clip" if random.random() < 0.5 else "refuse"
    division = "inherit" if random.random() < 0.5 else "reset"
    return DoseRules(ceilings, when, division)  # type: ignore[arg-type]


class Oracle:
    """Keeps every exposure of every cell, and adds all of them up each time.

    Parameters
    ----------
    rules
        What must hold.
    tracks
        Cells that are there at the begin.
    n_events
        Exposures at most.
    """

    def __init__(self, rules: DoseRules, tracks: list[int], n_events: int) -> None:
        self.rules = rules
        self._slot = {track: number for number, track in enumerate(tracks)}
        self._cells_ms = np.zeros((len(tracks), n_events))
        self._field_ms = np.zeros((1, n_events))
        self._at_s = np.zeros(n_events)
        self._channel = np.full(n_events, -1)
        self._n = 0

    def divided(self, mother: int, daughter: int) -> None:
        """Let a daughter take her mother's place."""
        slot = self._slot[daughter] = self._slot.pop(mother)
        if self.rules.at_division == "reset":
            self._cells_ms[slot] = 0.0

    def given(self, light: Light) -> None:
        """Count light."""
        number, self._n = self._n, self._n + 1
        self._at_s[number] = light.at_s
        self._channel[number] = CHANNELS.index(light.channel)
        self._field_ms[0, number] = light.full_ms * light.mean
        if light.cells is None:
            self._cells_ms[:, number] = light.full_ms * light.peak
            return
        track_id, level = light.cells.track_id.tolist(), light.cells.level
        places = [self._slot[track] for track in track_id]
        self._cells_ms[places, number] = light.full_ms * level

    def exceeded(self) -> list[str]:
        """Return the ceilings that are exceeded now, in words."""
        found = []
        at_s, now_s = self._at_s[: self._n], self._at_s[self._n - 1]
        for ceiling in self.rules.ceilings:
            counts = np.array([ceiling.counts(name) for name in CHANNELS])
            those = counts[self._channel[: self._n]]
            those &= (at_s > now_s - ceiling.per_s) if ceiling.per_s else True
            given_ms = self._cells_ms if ceiling.of == "cell" else self._field_ms
            most_ms = float((given_ms[:, : self._n] @ those).max())
            if most_ms > ceiling.most_ms * TOLERANCE:
                found.append(f"{ceiling}: {most_ms}")
        return found


def random_run(seed: int, n_events: int, n_cells: int = 6) -> int:
    """Carry out random events under random ceilings; return how many gave light.

    Raises
    ------
    AssertionError
        If a ceiling was exceeded.
    """
    random = np.random.default_rng(seed)
    rules = random_rules(random)
    ledger = DoseLedger(rules)
    now_s, fired, newest = 0.0, 0, n_cells
    alive = list(range(1, n_cells + 1))
    oracle = Oracle(rules, alive, n_events)
    for timestep in range(n_events):
        now_s += float(random.exponential(8.0))
        parents = np.zeros(len(alive), np.int64)
        if random.random() < 0.05:
            place, newest = int(random.integers(len(alive))), newest + 1
            mother, alive[place], parents[place] = alive[place], newest, alive[place]
            oracle.divided(mother, newest)
        light = _random_light(random, timestep, now_s, alive)
        ledger.seen(0, timestep, np.array(alive, np.int64), parents)
        allowed = _reduced(ledger, light)
        if allowed is not None:
            ledger.given(allowed)
            oracle.given(allowed)
            fired += 1
            problems = oracle.exceeded()
            assert not problems, (seed, timestep, problems)
    return fired


def _random_light(
    random: np.random.Generator, timestep: int, now_s: float, alive: list[int]
) -> Light:
    channel = str(random.choice(CHANNELS))
    full_ms = float(random.exponential(20.0)) + 0.1
    light = Light(0, timestep, channel, "image", now_s, full_ms)
    if random.random() < 0.4:
        return light
    level = random.random(len(alive)) * (random.random(len(alive)) < 0.6)
    shares = CellShares.of(np.array(alive, np.int64), level)
    return replace(
        light,
        role="stim",
        mean=float(random.random()),
        from_timestep=timestep,
        cells=shares,
    )


def _reduced(ledger: DoseLedger, light: Light) -> Light | None:
    """Return what a run makes of light, None for nothing."""
    verdict = ledger.verdict(light)
    if verdict.whole:
        return light
    if ledger.rules.when_over == "refuse" or light.role != "stim":
        return None
    if light.cells is not None and verdict.cells is not None:
        level = np.floor(light.cells.level * verdict.cells * 1e4) / 1e4
        light = replace(light, cells=CellShares.of(light.cells.track_id, level))
        verdict = ledger.verdict(light)
    return replace(light, full_ms=light.full_ms * verdict.field)
