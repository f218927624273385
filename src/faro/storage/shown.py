"""What a stored run says of itself: to ``faro info``, and to a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faro.model.shown import table_html

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW = 8


class ShownRun:
    """Gives a run its representations; none of them reads images or rows."""

    def __repr__(self) -> str:
        run: Any = self
        size = f"{len(run.fovs)} positions x {run.n_timepoints} timepoints"
        return f"<Run {run.path}: {size}, {state_text(run)}>"

    def _repr_html_(self) -> str:
        run: Any = self
        return table_html(f"Run {run.path.name}", facts_of_run(run, rows=False))


def facts_of_run(run: Any, *, rows: bool = True) -> Iterator[tuple[str, str]]:
    """Yield what there is to know of a `faro.storage.Run`, in words.

    Parameters
    ----------
    rows
        Whether to read the cell table too, which takes long where it is large.
    """
    info = run.info
    yield "run", str(run.path)
    yield "format", f"{info.get('format')} {info.get('schema_version', '')}".strip()
    if info.get("created"):
        yield "made", f"{info['created']} by FARO {info.get('faro_version')}"
    yield "state", state_text(run)
    frames = f"{len(run.fovs)} positions x {run.n_timepoints} timepoints"
    yield "images", f"{frames}, {run.image_shape} (Y, X) {run.image_dtype}"
    yield "channels", ", ".join(run.channels) or "none"
    for kind in ("ref", "stim"):
        names = getattr(run, f"{kind}_channels")
        if names:
            yield kind, ", ".join(names)
    size = run.pixel_size_um
    yield "pixel", f"{size:g} um" if size else "of unknown size"
    yield "labels", ", ".join(run.label_names) or "none"
    if rows:
        yield from _rows(run)
    named = [f"{fov}: {name}" for fov, name in run.fov_names.items()]
    if named:
        more = f", ... ({len(named)})" if len(named) > FEW else ""
        yield "positions", ", ".join(named[:FEW]) + more


def state_text(run: Any) -> str:
    """Return how a run ended, in words."""
    summary = run.summary
    if summary is None and not run.journal:
        return "without a journal"
    if summary is None:
        return "not closed: it is going on, or was killed"
    errors = summary.get("n_errors")
    return f"{summary.get('reason')}, {errors or 'no'} errors"


def _rows(run: Any) -> Iterator[tuple[str, str]]:
    cells = run.cells
    if "track_id" in cells:
        keys = zip(cells["fov"].tolist(), cells["track_id"].tolist(), strict=True)
        yield "cells", f"{len(cells)} rows, {len(set(keys))} tracks"
        yield "columns", ", ".join(cells.names)
