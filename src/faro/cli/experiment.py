"""``faro run``, ``check``, ``show``, ``init``, ``schema``: experiments as files."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from faro.cli.reporting import tell_what_there_is
from faro.cli.watching import introduce
from faro.errors import Problem
from faro.experiment import plan, waits
from faro.experiment.document_start import START
from faro.experiment.document_text import document_from, text_of
from faro.experiment.refusal import ExperimentError
from faro.run.files import load_words, prepare, problems_of
from faro.run.schema import file_schema
from faro.storage import next_free
from faro.view.dashboard.launch import start_dashboard
from faro.view.schedule import schedule_lines, schedule_of
from faro.view.timeline import write_timeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from faro.cli.watching import Place
    from faro.experiment.document import Component
    from faro.run.files import Prepared

FIRST_FILE = Path("experiment.toml")
PICTURES = (".png", ".svg", ".pdf")


def run_file(
    console: Console,
    path: Path,
    output: Path | None,
    *,
    progress: bool,
    hosted: bool,
    place: Place | None = None,
) -> int:
    """Run the experiment of a file and report it; return the exit code.

    Parameters
    ----------
    place
        Host and port of a dashboard, None for none.
    """
    prepared = prepare(path)
    if place is None:
        _refuse_endless_pauses(prepared)
    _introduce(console, prepared)
    folder = (output or next_free(prepared.path)).absolute()
    with _dashboard(console, folder, place):
        summary = prepared.run(folder, progress=progress, hosted=hosted)
    if summary.path is not None:
        tell_what_there_is(console, summary.path)
    return 0 if summary.completed and not summary.n_errors else 1


@contextmanager
def _dashboard(console: Console, folder: Path, place: Place | None) -> Iterator[None]:
    """Have a dashboard show the run; it goes on while somebody looks."""
    if place is None:
        yield
        return
    dashboard = start_dashboard(folder, host=place[0], port=place[1])
    try:
        introduce(console, dashboard)
        yield
    finally:
        dashboard.leave()


def _refuse_endless_pauses(prepared: Prepared) -> None:
    """Raise if somebody is waited for, and nobody can press Enter."""
    asked = [wait for wait in waits(prepared.events) if wait.pause_before]
    if asked and not (sys.stdin and sys.stdin.isatty()):
        what = f"{asked[0].pause_before!r} waits for Enter, and this is no terminal."
        remedy = "Run it in a terminal, or in Python with controller.resume()."
        raise ExperimentError([Problem("pause_before", what, remedy)])


def check_file(console: Console, path: Path, *, offline: bool, hosted: bool) -> int:
    """Print every problem of an experiment; return 2 if it cannot run."""
    problems = problems_of(path, offline=offline, hosted=hosted)
    errors = [problem for problem in problems if problem.severity == "error"]
    for problem in problems:
        style = "bold red" if problem.severity == "error" else "bold yellow"
        console.print(f"{problem.severity.capitalize()}: ", style=style, end="")
        console.print(str(problem), markup=False)
    looked = "the file alone" if offline else "the microscope too"
    if errors:
        console.print(f"{path} cannot run: {len(errors)} to mend ({looked}).")
        return 2
    console.print(f"{path} can run ({looked} was checked).", markup=False)
    return 0


def show_file(
    console: Console, path: Path, kind: str | None, output: Path | None
) -> int:
    """Print what an experiment does and draw it, or print it in another format."""
    if kind is not None:
        document = document_from(load_words(path)[0])
        text = text_of(document, kind)
        if output is None:
            console.out(text, end="", highlight=False)
        else:
            output.write_text(text, encoding="utf-8", newline="\n")
        return 0
    prepared = prepare(path)
    _introduce(console, prepared)
    stem = path.stem if path.suffix else path.name
    picture = output or Path(f"{stem}-timeline.png")
    if picture.suffix.lower() not in PICTURES:
        what = f"the ending {picture.suffix!r} is no picture."
        remedy = f"Use one of {', '.join(PICTURES)}, or --as for text."
        raise ExperimentError([Problem(str(picture), what, remedy)])
    steps = plan(prepared.events, stim_mode=prepared.document.stim_mode)
    write_timeline(steps, picture, title=prepared.document.name or stem)
    console.print(f"Timeline: {picture}", markup=False)
    return 0


def init_file(console: Console, path: Path | None) -> int:
    """Write a commented file to begin with; return the exit code."""
    target = path or FIRST_FILE
    if target.exists():
        what = "is there already, and is not replaced."
        remedy = "Give another name: faro init NAME.toml."
        raise ExperimentError([Problem(str(target), what, remedy)])
    if target.suffix.lower() != ".toml":
        what = "is no name of a TOML file."
        remedy = f"Use {target.stem}.toml; faro show FILE --as yaml converts it."
        raise ExperimentError([Problem(str(target), what, remedy)])
    target.write_text(START, encoding="utf-8", newline="\n")
    console.print(f"Wrote {target}. Next: faro show {target}", markup=False)
    return 0


def print_schema(console: Console) -> int:
    """Print the JSON schema of experiment files; return the exit code."""
    console.out(json.dumps(file_schema(), indent=2), highlight=False)
    return 0


def _introduce(console: Console, prepared: Prepared) -> None:
    """Print what an experiment is, in a few lines."""
    document = prepared.document
    steps = plan(prepared.events, stim_mode=document.stim_mode)
    name = document.name or "An experiment"
    console.print(f"{name}, on {document.microscope.rig}:", markup=False)
    for line in schedule_lines(schedule_of(steps)):
        console.print(line, markup=False)
    if document.pipeline is None:
        console.print("  no pipeline: frames are recorded only")
        return
    parts = [*document.pipeline.segmenters, *document.pipeline.features]
    parts += [document.pipeline.tracker]
    parts += [document.pipeline.stimulator] if document.pipeline.stimulator else []
    names = [_short(part) for part in parts]
    lights = document.pipeline.stimulators.items()
    names += [f"{channel}: {_short(part)}" for channel, part in lights]
    names += [f"ref: {_short(part)}" for part in document.pipeline.reference_features]
    words = " > ".join(names)
    console.print(f"  pipeline: {words}", markup=False)


def _short(part: Component) -> str:
    """Return the name of a component without its module."""
    return part.component.rpartition(":")[2]
