"""The short summary for the terminal, and how the data is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from faro.storage import open_run
from faro.view import summary_lines, write_report
from faro.view.opening import openers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_summary_tells_what_was_done_and_what_came_out(
    write_run: Callable[..., Path],
) -> None:
    path = write_run()
    text = "\n".join(summary_lines(open_run(path)))
    for words in (
        "120 measured, 24 tracks",
        "120 in 12 FOVs x 5 timepoints",
        "32 stimulations fired, 0 skipped, 0 errors",
        "frame to mask p50 10 ms, p95 16 ms",
        "loop minus control: +3.0 \N{MICRO SIGN}m, effect size 10, p = 0.029",
        str(path),
    ):
        assert words in text


def test_the_summary_names_the_first_error(write_run: Callable[..., Path]) -> None:
    lines = summary_lines(open_run(write_run(error=True, fovs_per_arm=2)))
    assert any("1, first: segment ValueError" in line for line in lines)


def test_the_summary_of_a_killed_run_begins_with_that(
    write_run: Callable[..., Path],
) -> None:
    lines = summary_lines(open_run(write_run(ending=None, fovs_per_arm=1)))
    assert "killed or is still running" in lines[0]
    assert any("faro.open_run(" in line for line in lines)


def test_the_table_opens_with_the_line_that_is_shown(
    write_run: Callable[..., Path],
) -> None:
    path = write_run(fovs_per_arm=1)
    write_report(path)
    ways = dict(openers(path))
    assert set(ways) == {"report", "pandas", "polars", "napari"}
    name = ways["polars"].split('"')[1]
    assert len(pl.read_parquet(name)) == 30
    assert dict(openers(path, relative=True))["polars"].split('"')[1] != name
