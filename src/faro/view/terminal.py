"""The short summary that the command line prints after a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faro.view.numbers import Facts, facts_of, percentile
from faro.view.opening import openers
from faro.view.wording import count_text, difference_text, effect_text, ms_text, p_text

if TYPE_CHECKING:
    from faro.storage import Run
    from faro.view.journal import Floats
    from faro.view.response import Comparison, Response


def summary_lines(run: Run, facts: Facts | None = None) -> list[str]:
    """Return what a run did, in about ten lines of plain text.

    Parameters
    ----------
    run
        An opened run; it may be unfinished.
    facts
        Its numbers, where they are known already.
    """
    facts = facts or facts_of(run)
    counts = facts.counts
    lines = (
        [f"  {facts.header.ending.sentence}"] if facts.header.ending.sentence else []
    )
    lines += [
        f"  cells     {count_text(counts.cells)} measured, "
        f"{count_text(counts.tracks)} tracks",
        f"  frames    {count_text(counts.frames)} in {counts.fovs} FOVs x "
        f"{timepoints_text(facts)} timepoints",
    ]
    if facts.header.ending.recorded:
        lines.append(f"  light     {light_text(facts)}")
        lines.append(f"  latency   {latency_text(facts)}")
    lines += [f"  {label:<9} {text}" for label, text in _answers(facts)]
    if facts.n_errors:
        first = facts.errors[0]
        lines.append(
            f"  errors    {facts.n_errors}, first: {first.stage} "
            f"{first.exc_type}: {first.message} ({first.where})"
        )
    lines.append(f"  stored in {run.path}")
    lines += [f"  {what:<9} {command}" for what, command in openers(run.path)]
    return lines


def timepoints_text(facts: Facts) -> str:
    """Return the timepoints taken, and planned where they differ."""
    counts = facts.counts
    if counts.timepoints == counts.planned_timepoints:
        return str(counts.timepoints)
    return f"{counts.timepoints} of {counts.planned_timepoints}"


def light_text(facts: Facts) -> str:
    """Return how many stimulations fired and how many did not."""
    light = facts.light
    return (
        f"{count_text(len(light.fired))} stimulations fired, "
        f"{count_text(light.n_skipped)} skipped, {count_text(facts.n_errors)} errors"
    )


def latency_text(facts: Facts) -> str:
    """Return p50 and p95 of the loop."""
    loop = facts.loop
    parts = [
        f"{name} p50 {ms_text(percentile(values, 50))}, "
        f"p95 {ms_text(percentile(values, 95))}"
        for name, values in _totals(loop.to_mask_ms, loop.to_light_ms)
        if percentile(values, 50) is not None
    ]
    return "; ".join(parts) or "not recorded"


def comparison_text(response: Response, test: Comparison) -> str:
    """Return one comparison: difference, effect size, p-value and FOVs."""
    return (
        f"{response.name}, {test.arm} minus {test.other}: "
        f"{difference_text(test)}, "
        f"effect size {effect_text(test)}, {p_text(test.p_value)} "
        f"({test.n} and {test.n_other} FOVs)"
    )


def _totals(to_mask_ms: Floats, to_light_ms: Floats) -> list[tuple[str, Floats]]:
    """Return the two latencies of the whole loop with their names, (n,) each."""
    return [("frame to mask", to_mask_ms), ("frame to light", to_light_ms)]


def _answers(facts: Facts) -> list[tuple[str, str]]:
    """Return one line per comparison."""
    return [
        ("effect", comparison_text(response, test))
        for response in facts.answer.responses
        for test in response.comparisons
    ]
