"""``faro report``, and what every command prints at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faro.storage import open_run
from faro.view import summary_lines, write_report

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console


def tell_what_there_is(
    console: Console, path: Path, comparison: Mapping[str, Any] | None = None
) -> None:
    """Write the report of a run and print its summary."""
    paths = write_report(path, reference=comparison)
    for line in summary_lines(open_run(path)):
        console.print(line, markup=False)
    for name, value in (comparison or {}).items():
        console.print(f"  compared  {name}: {value}", markup=False)
    console.print(f"  report    {paths.html}", markup=False)


def run_report(console: Console, directory: Path) -> int:
    """Write the report of a run, finished or not; return the exit code."""
    tell_what_there_is(console, directory)
    return 0
