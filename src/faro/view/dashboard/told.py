"""What is told of a run in words and tables; pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from faro.view.status import left_s

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from faro.experiment import RTMEvent
    from faro.view.dashboard.live import Snapshot
    from faro.view.status import Plan, Status

BYTES_PER_GB: Final = 1e9
N_NEXT: Final = 12


def told(
    status: Status, plan: Plan, free_bytes: int, now_wall_s: float
) -> Iterator[tuple[str, str]]:
    """Yield what is told of a status: names and values."""
    yield "state", f"{status.state} {status.doing}".strip()
    yield "timepoint", f"{status.timestep + 1}/{plan.n_timepoints}"
    yield "stacks", f"{status.n_stacks}/{plan.n_events}"
    yield "light", f"{status.n_fired} fired, {status.n_skipped} skipped"
    yield "errors", str(status.n_errors)
    if status.lateness_s > 1.0:
        yield "late", f"{status.lateness_s:.1f} s"
    rest_s = left_s(status, plan, now_wall_s)
    if rest_s is not None:
        yield "left", f"{int(rest_s // 3600)}:{int(rest_s % 3600 // 60):02d} h"
    yield "disk", f"{free_bytes / BYTES_PER_GB:.1f} GB"


def end_text(now: Snapshot, now_wall_s: float) -> str:
    """Return when the run will be done, in local time; empty where unknown."""
    rest_s = left_s(now.status, now.plan, now_wall_s)
    if rest_s is None:
        return ""
    end = datetime.fromtimestamp(now_wall_s + rest_s, UTC).astimezone()
    return f"{end:%H:%M:%S on %d %B}"


def next_rows(
    now: Snapshot, events: Sequence[RTMEvent], names: Mapping[int, str]
) -> list[dict[str, Any]]:
    """Return what comes next: when, where, what is imaged, what gives light."""
    started = now.status.started_wall_s
    if started is None or now.status.ended:
        return []
    taken = {f: p.timestep for f, p in now.places.items()}
    coming = [e for e in events if e.timestep > taken.get(e.fov, -1)][:N_NEXT]
    rows = []
    for number, event in enumerate(coming):
        due = started + (event.min_start_time or 0.0) + now.status.shift_s
        at = datetime.fromtimestamp(due, UTC).astimezone()
        rows.append(
            {
                "id": number,
                "at": f"{at:%H:%M:%S}" if event.min_start_time is not None else "",
                "position": names.get(event.fov) or str(event.fov),
                "timepoint": event.timestep,
                "images": ", ".join(c.config for c in event.channels),
                "light": ", ".join(c.config for c in event.stim_channels),
            }
        )
    return rows


def dose_rows(
    now: Snapshot, events: Sequence[RTMEvent], names: Mapping[int, str]
) -> list[dict[str, Any]]:
    """Return the light that each position got: how often, how long, how much of it."""
    exposures_ms: dict[tuple[int, str], float] = {}
    for event in events:
        for channel in event.stim_channels:
            exposures_ms[event.fov, channel.config] = channel.exposure or 0.0
    rows = []
    for fov, place in sorted(now.places.items()):
        total = sum(place.n_fired.values())
        open_ms = sum(
            n * exposures_ms.get((fov, name), 0.0) for name, n in place.n_fired.items()
        )
        rows.append(
            {
                "position": names.get(fov) or str(fov),
                "channels": ", ".join(place.n_fired) or "none",
                "fired": total,
                "open": f"{open_ms / 1e3:.2f}",
                "lit": f"{100 * place.lit / total:.1f}" if total else "",
            }
        )
    return rows
