"""``faro report``, and what every command prints at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faro.storage import open_run
from faro.view import summary_lines, write_report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rich.console import Console


def tell_what_there_is(
    console: Console,
    path: Path,
    comparison: Mapping[str, Any] | None = None,
    *,
    output: Path | None = None,
) -> None:
    """Write the report of a run and print its summary."""
    written = write_report(path, reference=comparison, output=output)
    if output is not None:
        console.print(f"  report    {written.html}", markup=False)
    for line in summary_lines(open_run(path)):
        console.print(line, markup=False)
    for line in _flat(comparison or {}):
        console.print(f"  compared  {line}", markup=False)


def _flat(numbers: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Yield nested numbers as lines of text."""
    for name, value in numbers.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}: ")
        else:
            yield f"{before}{name} {value}"


def run_report(console: Console, directory: Path, output: Path | None) -> int:
    """Write the report of a run, finished or not; return the exit code."""
    tell_what_there_is(console, directory, output=output)
    return 0
