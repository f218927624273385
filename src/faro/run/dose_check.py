"""Whether a plan keeps to its ceilings of light, before any light."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from faro.errors import Problem
from faro.run.dosing import channels_of, part_of_full

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from faro.experiment import RTMEvent
    from faro.experiment.channel import Channel
    from faro.model import HardwareFacts
    from faro.policies import DoseCeiling, DoseRules


def dose_problems(
    events: Sequence[RTMEvent], facts: HardwareFacts, rules: DoseRules
) -> Iterator[Problem]:
    """Yield what is wrong with the ceilings, or with the plan under them.

    Images alone must keep to them. Light for stimulation depends on masks: where it
    could exceed a ceiling with full masks, a warning says so.
    """
    if not rules.ceilings:
        return
    used = {c.config: c for event in events for c in channels_of(event)}
    yield from _uncounted(events, used)
    for number, ceiling in enumerate(rules.ceilings):
        where = f"limits.dose_ceilings[{number}]"
        if ceiling.channel and ceiling.channel not in used:
            what = f"no light is given with {ceiling.channel!r}."
            remedy = f"Use one of: {', '.join(sorted(used))}, or leave it empty."
            yield Problem(where, what, remedy)
            continue
        images = _most_ms(events, facts, ceiling, stimulate=False)
        if images > ceiling.most_ms:
            what = f"images alone give {images:g} ms; allowed are {ceiling}."
            yield Problem(where, what, "Take fewer or shorter images, or raise it.")
            continue
        everything = _most_ms(events, facts, ceiling, stimulate=True)
        if everything > ceiling.most_ms:
            what = f"full masks would give {everything:g} ms; allowed are {ceiling}."
            done = "left out" if rules.when_over == "refuse" else "reduced"
            remedy = f"What exceeds it is {done}."
            yield Problem(where, what, remedy, severity="warning")


def _uncounted(
    events: Sequence[RTMEvent], used: dict[str, Channel]
) -> Iterator[Problem]:
    """Yield light that cannot be counted."""
    for name, channel in used.items():
        if channel.exposure is None:
            what = "has no exposure, so its dose is not known."
            yield Problem(f"channels/{name}", what, "Give it an exposure in ms.")
    if any(event.keep_shutter_open_across for event in events):
        what = "the shutter stays open between images: that light is not counted."
        remedy = "Leave it out, or declare no dose_ceilings."
        yield Problem("keep_shutter_open_across", what, remedy)


def _most_ms(
    events: Iterable[RTMEvent],
    facts: HardwareFacts,
    ceiling: DoseCeiling,
    *,
    stimulate: bool,
) -> float:
    """Return the most that any position gets within the time of a ceiling."""
    given: dict[int, list[tuple[float, float]]] = {}
    for event in events:
        lit = (*event.channels, *event.ref_channels)
        lit += event.stim_channels if stimulate else ()
        planes = max(len(event.z_planes), 1)
        dose_ms = sum(
            (channel.exposure or 0.0)
            * part_of_full(channel, facts.power_limits)
            * (planes if channel in event.channels and channel.do_stack else 1)
            for channel in lit
            if ceiling.counts(channel.config)
        )
        at_s = event.min_start_time or 0.0
        given.setdefault(event.fov, []).append((at_s, dose_ms))
    return max((_within(np.array(g), ceiling.per_s) for g in given.values()), default=0)


def _within(given: npt.NDArray[np.float64], span_s: float) -> float:
    """Return the largest sum of doses (n, 2), time and dose, within a span."""
    if not span_s:
        return float(given[:, 1].sum())
    ordered = given[np.argsort(given[:, 0], kind="stable")]
    sums = np.concatenate([[0.0], np.cumsum(ordered[:, 1])])
    first = np.searchsorted(ordered[:, 0], ordered[:, 0] - span_s, side="right")
    return float((sums[1:] - sums[first]).max())
