"""``faro verify``, ``faro repair``, ``faro pack``: looking after runs on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faro.storage import held_by, pack, repair, verify

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console


def run_verify(console: Console, directory: Path) -> int:
    """Print what is wrong with a run; return 1 if there is an error."""
    problems = verify(directory)
    for problem in problems:
        colour = "red" if problem.severity == "error" else "yellow"
        console.print(f"[{colour}]{problem.severity}[/] ", end="")
        console.print(str(problem), markup=False)
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    held = ", ".join(f"{n} {what}" for what, n in held_by(directory).items())
    found = f"{errors} errors, {warnings} warnings"
    console.print(f"{directory}: {found} in {held}.", markup=False)
    return 1 if errors else 0


def run_repair(console: Console, directory: Path) -> int:
    """Mend a run and print what was done; return 1 if errors remain."""
    for line in repair(directory):
        console.print(line, markup=False)
    return run_verify(console, directory)


def run_pack(console: Console, directory: Path, timepoints: int | None) -> int:
    """Pack a run; return the exit code."""

    def tell(text: str) -> None:
        console.print(f"packed {text}", markup=False)

    done = pack(directory, timepoints, tell)
    console.print(
        f"{done.arrays} arrays packed: {done.files_before} files became "
        f"{done.files_after}."
    )
    return 0
