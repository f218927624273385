"""What stands on the page of a run, ready for the template."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from faro.view.definition import Definition, definition_of
from faro.view.figures import (
    path_figure,
    picture_of_panel,
    response_figure,
    stage_figure,
    timing_figure,
)
from faro.view.given import Treated, treated_of
from faro.view.look import LIT, OUTLINE, light_colours
from faro.view.numbers import percentile
from faro.view.opening import openers
from faro.view.terminal import timepoints_text
from faro.view.timing import stage_rows
from faro.view.wording import (
    count_text,
    difference_text,
    duration_text,
    effect_text,
    ms_text,
    p_text,
    pair_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from faro.storage import Run
    from faro.view.figures import Picture
    from faro.view.journal import ErrorGroup, Floats
    from faro.view.numbers import Facts
    from faro.view.panels import Panel
    from faro.view.response import Comparison, Response

MAX_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Card:
    """One key number."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class PanelView:
    """One image with its caption; no picture where nothing was acquired."""

    picture: Picture | None
    caption: str


@dataclass(frozen=True, slots=True)
class RowView:
    """The images of one arm."""

    title: str
    panels: tuple[PanelView, ...]


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """One line of the table of tests."""

    response: str
    arms: str
    difference: str
    effect: str
    p_value: str
    fovs: str


@dataclass(frozen=True, slots=True)
class StageView:
    """One line of the table of latencies."""

    name: str
    p50: str
    p95: str
    count: int


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the template writes."""

    name: str
    subtitle: str
    notices: tuple[str, ...]
    cards: tuple[Card, ...]
    answer: str
    responses: tuple[Picture, ...]
    comparisons: tuple[ComparisonView, ...]
    n_arms: int
    control: str
    channel: str
    moments: tuple[int, ...]
    rows: tuple[RowView, ...]
    paths: Picture | None
    stages: Picture | None
    stage_rows: tuple[StageView, ...]
    timing: Picture | None
    lights: tuple[tuple[str, tuple[int, int, int]], ...]
    skipped: Mapping[str, int]
    errors: tuple[ErrorGroup, ...]
    more_errors: int
    reference: tuple[tuple[str, str], ...]
    openers: tuple[tuple[str, str], ...]
    beside: bool
    versions: Mapping[str, str]
    definition: Definition
    treated: Treated
    made_on: tuple[tuple[str, str], ...]
    outline: tuple[int, int, int] = OUTLINE


def page_of(
    run: Run,
    facts: Facts,
    panels: Sequence[Sequence[Panel]],
    reference: Mapping[str, Any],
    *,
    beside: bool = True,
) -> Page:
    """Return the page of a run.

    Parameters
    ----------
    run, facts, panels
        The run, its numbers and its images.
    reference
        Numbers of a comparison with a recording, nested by name; may be empty.
    beside
        Whether the page lies in the run folder.
    """
    answer = facts.answer
    return Page(
        name=facts.header.name,
        subtitle=_subtitle(facts),
        notices=tuple(_notices(facts)),
        cards=tuple(_cards(facts)),
        answer=_answer(facts),
        responses=tuple(response_figure(facts, r) for r in answer.responses),
        comparisons=tuple(
            _comparison(r, test) for r in answer.responses for test in r.comparisons
        ),
        n_arms=len(answer.arms),
        control=answer.compare[1],
        channel=run.channels[0] if run.channels else "",
        moments=tuple(panel.timestep for panel in panels[0]) if panels else (),
        rows=tuple(_row(line) for line in panels),
        paths=path_figure(facts),
        stages=stage_figure(facts),
        stage_rows=tuple(_stages(facts)),
        timing=timing_figure(facts),
        lights=_lights(facts),
        skipped=facts.light.skipped,
        errors=facts.errors[:MAX_ERRORS],
        more_errors=max(0, len(facts.errors) - MAX_ERRORS),
        reference=tuple(_flat(reference)),
        openers=tuple(openers(run.path, relative=beside)),
        beside=beside,
        versions=facts.header.versions,
        definition=definition_of(run),
        treated=treated_of(run, facts),
        made_on=tuple(_made_on(run)),
    )


def _lights(facts: Facts) -> tuple[tuple[str, tuple[int, int, int]], ...]:
    """Return the channels that fired, each with its colour."""
    colours = light_colours(facts.light.channels)
    return tuple((name, LIT[colour]) for name, colour in colours.items())


def _subtitle(facts: Facts) -> str:
    """Return when it was, how long it took, and from which seed."""
    header = facts.header
    parts = [f"FARO run in {header.folder}"]
    if header.started:
        moment = datetime.fromisoformat(header.started)
        parts.append(moment.strftime("%Y-%m-%d %H:%M UTC"))
    if header.duration_s is not None:
        parts.append(f"took {duration_text(header.duration_s)}")
    if header.seed is not None:
        parts.append(f"seed {header.seed}")
    if "faro" in header.versions:
        parts.append(f"faro {header.versions['faro']}")
    return " \N{MIDDLE DOT} ".join(parts)


def _notices(facts: Facts) -> Iterator[str]:
    """Yield what a reader must know before reading on."""
    if facts.header.ending.sentence:
        yield facts.header.ending.sentence
    if facts.n_errors:
        noun = "error was" if facts.n_errors == 1 else "errors were"
        yield f"{facts.n_errors} {noun} recorded; see below."
    if not facts.counts.cells:
        yield "No cells were found."


def _cards(facts: Facts) -> Iterator[Card]:
    """Yield the key numbers."""
    counts, light, loop = facts.counts, facts.light, facts.loop
    yield Card("cells measured, over all frames", count_text(counts.cells))
    yield Card("tracks", count_text(counts.tracks))
    yield Card("frames", count_text(counts.frames))
    yield Card("FOVs", count_text(counts.fovs))
    yield Card("timepoints", timepoints_text(facts))
    if facts.header.ending.recorded:
        yield Card("stimulations fired", count_text(len(light.fired)))
        yield Card("stimulations skipped", count_text(light.n_skipped))
        yield Card("errors", count_text(facts.n_errors))
    if percentile(loop.to_mask_ms, 50) is not None:
        yield Card("frame to mask, p50 / p95", _p50_p95(loop.to_mask_ms))
    if percentile(loop.to_light_ms, 50) is not None:
        yield Card("frame to light, p50 / p95", _p50_p95(loop.to_light_ms))
    late = facts.lateness.late_ms
    if late.size:
        yield Card("lateness, p50 / p95", _p50_p95(late))


def _answer(facts: Facts) -> str:
    """Return the main comparison as a sentence, empty if there was no test."""
    if facts.answer.main is None:
        return ""
    response, test = facts.answer.main
    return (
        f"Displacement {response.name.removeprefix('displacement ')}, "
        f"{test.arm} minus {test.other}: "
        f"{difference_text(test)}; effect size {effect_text(test)}, "
        f"{p_text(test.p_value)} ({test.n} and {test.n_other} FOVs)."
    )


def _comparison(response: Response, test: Comparison) -> ComparisonView:
    """Return one line of the table of tests."""
    return ComparisonView(
        response=response.name,
        arms=f"{test.arm} minus {test.other}",
        difference=difference_text(test),
        effect=effect_text(test),
        p_value=p_text(test.p_value).removeprefix("p = ").removeprefix("p "),
        fovs=f"{test.n} and {test.n_other}",
    )


def _row(line: Sequence[Panel]) -> RowView:
    """Return the images of one arm with their captions."""
    views = [
        PanelView(
            picture_of_panel(panel),
            f"timepoint {panel.timestep}, {panel.n_cells} cells"
            f"{', light on' if panel.lit else ''}",
        )
        for panel in line
    ]
    first = line[0].row
    fov = f"FOV {first.fov}"
    title = first.title if first.title == fov else f"{first.title}, {fov}"
    return RowView(title, tuple(views))


def _stages(facts: Facts) -> Iterator[StageView]:
    """Yield the lines of the table of latencies."""
    for name, values, _ in stage_rows(facts):
        yield StageView(
            name,
            ms_text(percentile(values, 50)),
            ms_text(percentile(values, 95)),
            len(values),
        )


def _p50_p95(values_ms: Floats) -> str:
    """Return two percentiles of (n,) milliseconds."""
    return pair_text(percentile(values_ms, 50), percentile(values_ms, 95))


def _made_on(run: Run) -> Iterator[tuple[str, str]]:
    """Yield the computer and the system, as far as the run knows them."""
    there = run.provenance("environment")
    for name in ("python", "platform", "host", "n_cpus"):
        if there.get(name):
            yield name.replace("n_cpus", "processors"), str(there[name])


def _flat(numbers: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield name and value of nested numbers."""
    for name, value in numbers.items():
        full = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, dict):
            yield from _flat(value, f"{full}, ")
        elif isinstance(value, float):
            yield full, f"{value:.4g}"
        else:
            yield full, str(value)
