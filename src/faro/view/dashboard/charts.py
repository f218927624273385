"""Options of the charts, as Apache ECharts takes them; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from faro.view.dashboard.live import percentiles
from faro.view.look import CONTROL, OTHERS, TREATED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faro.view.dashboard.curves import Curve
    from faro.view.dashboard.live import Latency, Snapshot

    Options = dict[str, Any]

COLOURS: Final = (TREATED, CONTROL, *OTHERS)
FRESH, STALE, NEVER = "#009E73", "#D55E00", "#8c959f"


def line_chart(x_name: str, y_name: str) -> Options:
    """Return a chart of lines without data."""
    return {
        "animation": False,
        "tooltip": {"trigger": "item"},
        "legend": {"type": "scroll", "top": 0},
        "grid": {"left": 70, "right": 24, "top": 40, "bottom": 50},
        "xAxis": {
            "type": "value",
            "name": x_name,
            "nameLocation": "middle",
            "nameGap": 28,
            "minInterval": 1,
            "min": "dataMin",
            "max": "dataMax",
        },
        "yAxis": {"type": "value", "name": y_name, "scale": True},
        "dataZoom": [{"type": "inside"}],
        "series": [],
    }


def lines(curves: Sequence[Curve], *, thin: bool = False) -> list[Options]:
    """Return the series of curves; those with errors get bars of one error up, down."""
    found: list[Options] = []
    for turn, curve in enumerate(curves):
        points = _points(curve.timesteps, curve.values)
        colour = COLOURS[turn % len(COLOURS)]
        series: Options = {"type": "line", "name": curve.name, "data": points}
        series |= {"showSymbol": len(points) < 2 or not thin, "symbolSize": 5}
        series |= {"lineStyle": {"width": 1 if thin else 2.5}}
        if not thin:
            series |= {"color": colour}
        found.append(series)
        if curve.errors is not None:
            found += _band(curve, curve.errors, colour)
    return found


def _band(curve: Curve, errors: Any, colour: str) -> list[Options]:
    """Return the edges of a mean plus and minus its standard error, as thin lines."""
    edges = [(curve.values - errors), (curve.values + errors)]
    style = {"width": 1, "type": "dashed", "opacity": 0.6}
    return [
        {
            "type": "line",
            "name": curve.name,
            "data": _points(curve.timesteps, edge),
            "showSymbol": False,
            "color": colour,
            "lineStyle": style,
            "tooltip": {"show": False},
        }
        for edge in edges
    ]


def _points(times: Any, values: Any) -> list[list[float | int]]:
    pairs = zip(times.tolist(), values.tolist(), strict=True)
    return [[t, round(v, 6)] for t, v in pairs if np.isfinite(v)]


def latency_series(latencies: Sequence[Latency]) -> list[Options]:
    """Return frame to mask over the newest frames."""
    points = [[x.number, round(x.total_ms, 3)] for x in latencies if x.total_ms]
    name = "frame to mask"
    return [{"type": "line", "name": name, "data": points, "showSymbol": False}]


def stage_rows(latencies: Sequence[Latency]) -> list[dict[str, str]]:
    """Return a row for each stage: median and 95th percentile, ms."""
    stages = dict.fromkeys(name for x in latencies for name in x.stages_ms)
    values = {
        n: [x.stages_ms[n] for x in latencies if n in x.stages_ms] for n in stages
    }
    totals = [x.total_ms for x in latencies if x.total_ms]
    if totals:
        values["frame to mask"] = totals
    rows = []
    for name, known in values.items():
        p50, p95 = percentiles(known)
        rows.append({"stage": name, "p50": f"{p50:.1f}", "p95": f"{p95:.1f}"})
    return rows


def map_chart() -> Options:
    """Return a map of positions without any."""
    axis = {"type": "value", "scale": True, "nameLocation": "middle", "nameGap": 30}
    return {
        "animation": False,
        "tooltip": {"formatter": "{b}"},
        "grid": {"left": 70, "right": 40, "top": 30, "bottom": 55},
        "xAxis": {**axis, "name": "stage x (um)"},
        "yAxis": {**axis, "name": "stage y (um)", "inverse": True, "nameGap": 50},
        "series": [{"type": "scatter", "symbolSize": 34, "data": []}],
    }


def map_points(
    now: Snapshot,
    positions_um: Mapping[str, Sequence[float | None]],
    names: Mapping[int, str],
    now_wall_s: float,
) -> list[Options]:
    """Return the positions, coloured by how old their newest image is.

    Fresh is at most one usual interval old; stale is three or more.
    """
    usual_s = max(now.plan.usual_s, now.status.gap_s, 1.0)
    found = []
    for turn, (fov, place) in enumerate(sorted(now.places.items())):
        at = list(positions_um.get(str(fov), ()))[:2]
        at = [turn, 0] if len(at) < 2 or None in at else at
        age_s = now_wall_s - place.wall_s
        seen = place.timestep >= 0
        said = f"t {place.timestep}, {age_text(age_s)} ago" if seen else "not yet"
        name = names.get(fov) or f"position {fov}"
        found.append(
            {
                "name": f"{name}: {said}",
                "value": at,
                "itemStyle": {"color": _freshness(age_s, usual_s) if seen else NEVER},
                "label": {"show": True, "formatter": str(fov), "color": "#fff"},
            }
        )
    return found


def _freshness(age_s: float, usual_s: float) -> str:
    """Return the colour of an image by how many usual intervals old it is."""
    part = min(1.0, max(0.0, (age_s / usual_s - 1.0) / 2.0))
    pairs = [(int(FRESH[i : i + 2], 16), int(STALE[i : i + 2], 16)) for i in (1, 3, 5)]
    mixed = (round(a + (b - a) * part) for a, b in pairs)
    return "#" + "".join(f"{value:02x}" for value in mixed)


def age_text(age_s: float) -> str:
    """Return a time in words.

    >>> age_text(3.2), age_text(200), age_text(9000)
    ('3 s', '3 min', '2:30 h')
    """
    if age_s < 100:
        return f"{max(0.0, age_s):.0f} s"
    if age_s < 6000:
        return f"{age_s / 60:.0f} min"
    return f"{int(age_s // 3600)}:{int(age_s % 3600 // 60):02d} h"
