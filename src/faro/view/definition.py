"""What was to be done in a run, and with what: plan, parts and their parameters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faro.experiment import plan
from faro.run.stored import stim_mode_of
from faro.view.figures import Picture, render
from faro.view.schedule import Schedule, schedule_lines, schedule_of
from faro.view.timeline import timeline_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faro.storage import Run

PARTS = ("segmenters", "tracker", "features", "reference_features", "stimulator")
"""Of a pipeline, in the order of the loop; stimulators by channel come last."""


@dataclass(frozen=True, slots=True)
class Part:
    """One component of the pipeline."""

    role: str
    name: str
    parameters: str


@dataclass(frozen=True, slots=True)
class Definition:
    """What was to be done.

    Attributes
    ----------
    lines
        The plan in words.
    timeline
        The plan as a picture, None without a plan.
    parts
        Of the pipeline.
    settings
        Name and value of what else was set.
    source
        The experiment file, or what a script said, as text; empty if neither is there.
    """

    lines: tuple[str, ...]
    timeline: Picture | None
    parts: tuple[Part, ...]
    settings: tuple[tuple[str, str], ...]
    source: str

    @property
    def known(self) -> bool:
        """Whether the run says anything of it."""
        return bool(self.lines or self.parts or self.settings)


def definition_of(run: Run) -> Definition:
    """Return what was to be done in a run, finished or not."""
    said: Mapping[str, Any] = run.info.get("description") or {}
    events = run.events
    schedule = schedule_of(plan(events, stim_mode=stim_mode_of(run)))
    file = said.get("experiment_file") or {}
    words = file.get("pipeline") or said.get("pipeline") or {}
    return Definition(
        lines=tuple(schedule_lines(schedule)) if events else (),
        timeline=_timeline(schedule) if events else None,
        parts=tuple(_parts(words)),
        settings=tuple(_settings(run, said)),
        source=json.dumps(file, indent=2, default=str) if file else "",
    )


def _timeline(schedule: Schedule) -> Picture:
    figure = timeline_of(schedule)
    words = f"{schedule.n_fovs} positions, {schedule.n_timepoints} timepoints"
    return Picture(
        render(figure),
        alt=f"Timeline of the plan: {words}, {schedule.n_exposures} exposures.",
        caption="What was planned: a row for each kind of position, a line for each "
        "exposure; light as high as its dose.",
    )


def _parts(words: Mapping[str, Any]) -> Iterator[Part]:
    """Yield the components of a pipeline, as a file or a script said them."""
    for role in PARTS:
        said = words.get(role) or ()
        for one in [said] if isinstance(said, str | dict) else said:
            yield _part(role.rstrip("s").replace("_", " "), one)
    for channel, one in (words.get("stimulators") or {}).items():
        yield _part(f"stimulator of {channel}", one)


def _part(role: str, said: str | Mapping[str, Any]) -> Part:
    """Return one component; a segmenter is wrapped with what is done to its labels."""
    if isinstance(said, str):
        return Part(role, said.rpartition(":")[2], "")
    inner = said.get("component")
    around = {k: v for k, v in said.items() if k not in {"component", "parameters"}}
    parameters = dict(said.get("parameters") or {})
    if isinstance(inner, dict):
        parameters = dict(inner.get("parameters") or {})
        inner = inner.get("component")
    name = str(around.pop("name", "") or "")
    shown = str(inner).rpartition(":")[2]
    said_of = {**parameters, **around}
    told = ", ".join(f"{k} = {_value(v)}" for k, v in said_of.items() if _is_said(v))
    return Part(f"{role} of {name}" if name else role, shown, told)


def _is_said(value: Any) -> bool:
    return value is not None and value != [] and value != {}


def _value(value: Any) -> str:
    if isinstance(value, dict):
        inside = [f"{k} = {_value(v)}" for k, v in value.items() if _is_said(v)]
        return f"{{{', '.join(inside)}}}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _settings(run: Run, said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a reader wants to know of the microscope and the images."""
    microscope = said.get("microscope") or {}
    if microscope.get("name"):
        yield "microscope", str(microscope["name"])
    if microscope.get("configuration"):
        yield "configuration", str(microscope["configuration"])
    height, width = run.image_shape
    yield "image", f"{height} x {width} px (Y, X), {run.image_dtype}"
    size = run.pixel_size_um
    yield "pixel", f"{size:g} \N{MICRO SIGN}m" if size else "of unknown size"
    if run.stim_channels:
        yield "mask used", f"of the {stim_mode_of(run)} frame"
    labels = run.label_names
    if labels:
        yield "label images", ", ".join(labels)
    if said.get("reanalysis_of"):
        yield "re-analysis of", str(said["reanalysis_of"]["path"])
    if said.get("replay_of"):
        yield "replay of", str(said["replay_of"])
