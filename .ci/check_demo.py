"""Check what ``python -m faro demo`` left behind: ``check_demo.py FOLDER``.

The run is opened with FARO's reader and, so that the folder is shown to be standard,
with yaozarrs, ome-zarr-py and one line of pandas. Every broken promise is listed.
"""

from __future__ import annotations

import re
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import yaozarrs
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader

import faro

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LIMIT_S = 60
FOVS = 12  # four in each of the three arms
TIMEPOINTS = 20
PNG = b"\x89PNG\r\n\x1a\n"
COLUMNS = {"fov", "timestep", "label", "track_id", "y", "x", "area"}
FROM_OUTSIDE = re.compile(
    r"""<(?:script|img|iframe|source)[^>]*\bsrc\s*=\s*["']?(?:https?:)?//"""
    r"""|<link[^>]*\bhref\s*=\s*["']?(?:https?:)?//|@import|url\(["']?(?:https?:)?//""",
    re.IGNORECASE,
)


def run_folder(folder: Path) -> Path:
    """Return ``folder``, or the one folder of a run inside it."""
    runs = sorted({path.parent for path in folder.rglob("run.json")})
    if len(runs) != 1:
        sys.exit(f"{folder} holds {len(runs)} runs, not one: {runs}")
    return runs[0]


def seconds_between(journal: list[Mapping[str, object]]) -> float:
    """Return the wall seconds from the first line of a journal to its last."""
    ends = [datetime.fromisoformat(str(journal[i]["wall"])) for i in (0, -1)]
    return (ends[1] - ends[0]).total_seconds()


def check_run(path: Path) -> Iterator[str]:
    """Yield what FARO's own reader finds missing; print the figures."""
    run = faro.open_run(path)
    journal = list(run.journal)
    kinds = [str(line["kind"]) for line in journal]
    took_s = seconds_between(journal)
    print(
        f"demo: {len(run.fovs)} FOVs x {run.n_timepoints} timepoints, "
        f"{kinds.count('frame')} stacks stored, "
        f"{kinds.count('stim_confirmed')} stimulations fired, run took {took_s:.1f} s"
    )
    if took_s > LIMIT_S:
        yield f"the run took {took_s:.1f} s, promised are {LIMIT_S} s"
    if len(run.fovs) < FOVS or run.n_timepoints < TIMEPOINTS:
        yield f"{len(run.fovs)} FOVs x {run.n_timepoints} timepoints are too few"
    holes = [
        (fov, t)
        for fov in run.fovs
        for t in range(run.n_timepoints)
        if not run.has(fov, t)
    ]
    if holes:
        yield f"{len(holes)} stacks were not stored, the first is (fov, t) {holes[0]}"
    elif not np.ptp(run.stack(run.fovs[-1], run.n_timepoints - 1).pixels):
        yield "the last stack holds one value only"
    if not run.label_names:
        yield "no labels were stored"
    if "stim_confirmed" not in kinds:
        yield "no stimulation was confirmed"
    yield from (f"error in the journal: {e}" for e in journal if e["kind"] == "error")
    if kinds[-1] != "run_finished":
        yield f"the journal ends with {kinds[-1]!r}, not with 'run_finished'"


def check_latency(path: Path) -> Iterator[str]:
    """Yield where latencies are missing; print p50 and p95 of the loop in ms."""
    lines = [e for e in faro.open_run(path).journal if e["kind"] == "latency"]
    taken_ms = [float(str(e["frame_to_mask_ms"])) for e in lines]
    if not taken_ms:
        yield "no latency was recorded"
        return
    p50_ms, p95_ms = np.percentile(taken_ms, [50, 95])
    print(f"demo: frame to mask p50 {p50_ms:.1f} ms, p95 {p95_ms:.1f} ms")


def check_images(path: Path) -> Iterator[str]:
    """Yield what other programs' readers of OME-Zarr object to."""
    container = path / "images.ome.zarr"
    groups = sorted(container.glob("p*.ome.zarr"))
    if not groups:
        yield f"{container} holds no position"
    for group in (container, *groups):
        try:
            yaozarrs.validate_zarr_store(group)
        except ValueError as error:
            yield f"yaozarrs refuses {group.name}: {error}"
    for group in groups[:1]:
        location = parse_url(group)
        nodes = list(Reader(location)()) if location else []
        if not nodes or not nodes[0].data:
            yield f"ome-zarr-py finds no image in {group.name}"


def check_table(path: Path) -> Iterator[str]:
    """Yield what is wrong with the cell table, read as a user would."""
    tables = sorted(path.rglob("cells.parquet"))
    if len(tables) != 1:
        yield f"{len(tables)} tables are called cells.parquet, not one"
        return
    cells = pd.read_parquet(tables[0])
    tracks = cells.groupby(["fov", "track_id"]).ngroups if len(cells) else 0
    print(f"demo: {len(cells)} rows, {tracks} tracks, {cells.shape[1]} columns")
    if cells.empty:
        yield "the cell table is empty"
    if missing := COLUMNS - set(cells.columns):
        yield f"the cell table has no columns {sorted(missing)}"
    elif cells.duplicated(["fov", "timestep", "label"]).any():
        yield "the cell table holds cells twice"


def check_report(path: Path) -> Iterator[str]:
    """Yield what is missing in the report, or needs a network to show."""
    html, png = path / "report.html", path / "report.png"
    if not html.is_file() or not png.is_file():
        yield "report.html or report.png is missing"
        return
    if not png.read_bytes().startswith(PNG) or png.stat().st_size < 20_000:
        yield f"report.png is no picture worth showing ({png.stat().st_size} bytes)"
    text = html.read_text(encoding="utf-8")
    if "</html>" not in text:
        yield "report.html is cut off"
    if found := FROM_OUTSIDE.search(text):
        yield f"report.html loads from outside: {found[0][:80]!r}"
    print(f"demo: report.html {len(text) / 1e6:.1f} MB")


def main() -> int:
    """Print the figures and every broken promise; return 1 where there is one."""
    path = run_folder(Path(sys.argv[1]))
    checks = (check_run, check_latency, check_images, check_table, check_report)
    problems = [problem for check in checks for problem in check(path)]
    for problem in problems:
        print(f"demo: BROKEN: {problem}", file=sys.stderr)
    print(f"demo: {len(checks)} checks, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
