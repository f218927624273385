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
    """Adds up every exposure of every cell, and remembers all of them."""

    def __init__(self, rules: DoseRules) -> None:
        self.rules = rules
        self.tracks: dict[int, list[tuple[float, str, float]]] = {}
        self.field: list[tuple[float, str, float]] = []

    def given(self, light: Light) -> None:
        """Count light."""
        self.field.append((light.at_s, light.channel, light.full_ms * light.mean))
        shares = light.cells
        known = None
        if shares is not None:
            tracks, levels = shares.track_id.tolist(), shares.level.tolist()
            known = dict(zip(tracks, levels, strict=True))
        for track, history in self.tracks.items():
            level = light.peak if known is None else known.get(track, 0.0)
            history.append((light.at_s, light.channel, light.full_ms * level))

    def exceeded(self) -> list[str]:
        """Return the ceilings that are exceeded now, in words."""
        found = []
        for ceiling in self.rules.ceilings:
            several = self.tracks.values() if ceiling.of == "cell" else [self.field]
            for history in several:
                since = history[-1][0] - ceiling.per_s if ceiling.per_s else -np.inf
                total = (
                    sum(
                        dose
                        for at_s, name, dose in reversed(history[-4000:])
                        if at_s > since and ceiling.counts(name)
                    )
                    if history
                    else 0.0
                )
                if total > ceiling.most_ms * TOLERANCE:
                    found.append(f"{ceiling}: {total}")
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
    ledger, oracle = DoseLedger(rules), Oracle(rules)
    now_s, fired, newest = 0.0, 0, n_cells
    alive = list(range(1, n_cells + 1))
    for track in alive:
        oracle.tracks[track] = []
    for timestep in range(n_events):
        now_s += float(random.exponential(8.0))
        parents = np.zeros(len(alive), np.int64)
        if random.random() < 0.05:
            place, newest = int(random.integers(len(alive))), newest + 1
            mother, alive[place], parents[place] = alive[place], newest, alive[place]
            inherit = rules.at_division == "inherit"
            oracle.tracks[newest] = list(oracle.tracks[mother]) if inherit else []
            del oracle.tracks[mother]
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
