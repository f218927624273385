"""Cells, map, timeline, latency, light and errors."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from faro.view.dashboard import charts, curves
from faro.view.dashboard.told import dose_rows, end_text, next_rows

if TYPE_CHECKING:
    from faro.experiment import RTMEvent
    from faro.view.dashboard.curves import Curve
    from faro.view.dashboard.live import Live, Snapshot
    from faro.view.status import Plan

CHART: Final = "w-full h-96"
TABLE: Final = "flat dense bordered"
TRACEBACK: Final = "white-space: pre-wrap; font-family: monospace"
PART_OF_TIME: Final = 10.0
"""Reading the cell table takes at most one part of so many of the time."""


def now_wall_s() -> float:
    """Return UTC seconds since 1970."""
    return datetime.now(UTC).timestamp()


def columns(**titles: str) -> list[dict[str, Any]]:
    """Return the columns of a table: field to title."""
    return [
        {"name": name, "field": name, "label": title, "align": "left"}
        for name, title in titles.items()
    ]


class Planned:
    """The events of a run, read again only when the plan has grown."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._plan: Plan | None = None
        self._events: tuple[RTMEvent, ...] = ()

    def events(self, now: Snapshot) -> tuple[RTMEvent, ...]:
        """Return the events so far."""
        if self._plan is not now.plan:
            self._events, self._plan = self._live.run.events, now.plan
        return self._events


class CellsView:
    """Curves of single cells and means of treatments, of a chosen feature."""

    title = "Cells"

    def __init__(self, live: Live) -> None:
        self._live = live
        self._drawn: object = None
        self._due_s = 0.0

    def build(self) -> None:
        """Lay out the choices and the two charts."""
        stored = self._live.run
        names = stored.fov_names
        fovs = {fov: names.get(fov) or f"position {fov}" for fov in stored.fovs}
        keys = curves.treatment_keys(stored.info.get("description") or {}) or ["arm"]
        with ui.row().classes("items-center gap-4"):
            self.feature = ui.select([], label="Feature").classes("w-56 faro-feature")
            first = next(iter(fovs), None)
            self.fov = ui.select(fovs, value=first, label="Position").classes("w-48")
            self.key = ui.select(keys, value=keys[0], label="Treatments by")
            self.key.classes("w-40")
        self.said = ui.label("").classes("text-grey faro-cells-said")
        ui.label("Single cells of the position").classes("text-subtitle1")
        self.cells = ui.echart(charts.line_chart("timepoint", "")).classes(CHART)
        self.cells.classes("faro-cells")
        ui.label("Mean of each treatment, with its standard error over positions")
        self.means = ui.echart(charts.line_chart("timepoint", "")).classes(CHART)
        self.means.classes("faro-means")

    async def refresh(self, now: Snapshot) -> None:
        """Draw again what has changed, but not more often than reading allows."""
        wanted = (now.version, self.feature.value, self.fov.value, self.key.value)
        if wanted == self._drawn or time.monotonic() < self._due_s:
            return
        begun_s = time.monotonic()
        found = await asyncio.to_thread(self._read)
        took_s = time.monotonic() - begun_s
        self._due_s = time.monotonic() + max(0.5, PART_OF_TIME * took_s)
        features, single, means = found
        if features and self.feature.value not in features:
            self.feature.set_options(features, value=features[-1])
            self._due_s = 0.0
            return
        self._drawn = wanted
        self.said.text = f"{len(single)} tracks" if features else "no cells yet"
        self.cells.options["series"] = charts.lines(single, thin=True)
        self.means.options["series"] = charts.lines(means)
        for chart in (self.cells, self.means):
            chart.options["yAxis"]["name"] = self.feature.value or ""
            chart.update()

    def _read(self) -> tuple[list[str], list[Curve], list[Curve]]:
        stored, feature = self._live.run, self.feature.value or ""
        cells = stored.cells
        said = stored.info.get("description") or {}
        key = self.key.value or ""
        means = curves.treatment_curves(cells, said, stored.fovs, key, feature)
        single = curves.cell_curves(cells, self.fov.value, feature)
        return curves.features_of(cells), single, means


class MapView:
    """Where the positions are, and how fresh."""

    title = "Map"

    def __init__(self, live: Live) -> None:
        self._live = live

    def build(self) -> None:
        """Lay out the map."""
        ui.label("Green: as fresh as planned. Red: three intervals old or more.")
        self.chart = ui.echart(charts.map_chart()).classes("w-full faro-map")
        self.chart.style("height: 34rem")
        self._drawn_s = 0.0

    async def refresh(self, now: Snapshot) -> None:
        """Draw the positions; once a second is enough."""
        if time.monotonic() < self._drawn_s + 1.0:
            return
        self._drawn_s = time.monotonic()
        needs = self._live.run.info.get("needs") or {}
        places = needs.get("fov_positions_um") or {}
        names = self._live.run.fov_names
        data = charts.map_points(now, places, names, now_wall_s())
        self.chart.options["series"][0]["data"] = data
        self.chart.update()


class TimelineView:
    """What is happening, what is next, how late it is, when it ends."""

    title = "Timeline"

    def __init__(self, live: Live, planned: Planned) -> None:
        self._live, self._planned = live, planned
        self._drawn = -1

    def build(self) -> None:
        """Lay out the words, the next steps and the lateness."""
        self.doing = ui.label("").classes("text-h6 faro-doing")
        self.end = ui.label("").classes("faro-eta")
        titles = columns(
            at="due", position="position", timepoint="t", images="images", light="light"
        )
        self.table = ui.table(columns=titles, rows=[], row_key="id", title="Next")
        self.table.props(TABLE).classes("w-full faro-next")
        ui.label("Lateness of the timepoints")
        self.chart = ui.echart(charts.line_chart("timepoint", "s late")).classes(CHART)
        self.chart.classes("faro-lateness")

    async def refresh(self, now: Snapshot) -> None:
        """Tell and draw what has changed."""
        if self._drawn == now.version:
            return
        self._drawn = now.version
        status, names = now.status, self._live.run.fov_names
        where = names.get(status.fov) or f"position {status.fov}"
        at = f", timepoint {status.timestep} at {where}" if status.timestep >= 0 else ""
        self.doing.text = f"{status.state} {status.doing}".strip() + at
        end = end_text(now, now_wall_s())
        self.end.text = f"Will be done at {end}." if end else ""
        events = await asyncio.to_thread(self._planned.events, now)
        self.table.rows = next_rows(now, events, names)
        data = [[t, round(s, 4)] for t, s in now.lateness]
        series = {"type": "line", "name": "lateness", "data": data, "showSymbol": False}
        self.chart.options["series"] = [series]
        self.chart.update()


class LatencyView:
    """How long the loop takes, stage by stage."""

    title = "Latency"

    def __init__(self) -> None:
        self._drawn = -1

    def build(self) -> None:
        """Lay out the table and the chart."""
        titles = columns(stage="stage", p50="median, ms", p95="95th percentile, ms")
        self.table = ui.table(columns=titles, rows=[], row_key="stage")
        self.table.props(TABLE).classes("faro-stages")
        self.chart = ui.echart(charts.line_chart("frame", "ms")).classes(CHART)
        self.chart.classes("faro-latency")

    async def refresh(self, now: Snapshot) -> None:
        """Draw the newest frames."""
        if self._drawn == now.version:
            return
        self._drawn = now.version
        self.table.rows = charts.stage_rows(now.latencies)
        self.chart.options["series"] = charts.latency_series(now.latencies)
        self.chart.update()


class LightView:
    """How much light each position got."""

    title = "Light"

    def __init__(self, live: Live, planned: Planned) -> None:
        self._live, self._planned = live, planned
        self._drawn = -1

    def build(self) -> None:
        """Lay out the table."""
        titles = columns(
            position="position",
            channels="channels",
            fired="stimulations",
            open="exposed, s",
            lit="lit, % of the field, mean",
        )
        self.table = ui.table(columns=titles, rows=[], row_key="position")
        self.table.props(TABLE).classes("faro-dose")

    async def refresh(self, now: Snapshot) -> None:
        """Write the sums so far."""
        if self._drawn == now.version:
            return
        self._drawn = now.version
        events = await asyncio.to_thread(self._planned.events, now)
        self.table.rows = dose_rows(now, events, self._live.run.fov_names)


class ErrorsView:
    """What failed, with the traceback."""

    title = "Errors"

    def __init__(self) -> None:
        self._drawn: tuple[object, ...] | None = None

    def build(self) -> None:
        """Lay out the list."""
        self.list = ui.column().classes("w-full faro-errors")

    async def refresh(self, now: Snapshot) -> None:
        """Write the errors, the newest first, if there are others than before."""
        if self._drawn == now.errors:
            return
        self._drawn = now.errors
        self.list.clear()
        with self.list:
            if not now.errors:
                ui.label("Nothing has failed.")
            for failure in reversed(now.errors):
                kind = f"{failure.exc_type}: {failure.message}"
                head = f"{failure.wall[11:19]} {failure.stage}, {failure.where}: {kind}"
                with ui.expansion(head, icon="error").classes("w-full"):
                    text = failure.traceback or "no traceback was recorded"
                    ui.label(text).style(
                        "white-space: pre-wrap; font-family: monospace"
                    )
