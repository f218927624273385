"""The ``faro`` command."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from faro import __version__
from faro.errors import FaroError

__all__ = ["app", "main"]

app = typer.Typer(
    name="faro",
    help="Closed-loop microscopy: acquire, segment, track, decide, shine light.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Out = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder of the run; must not exist yet."),
]


InProcess = Annotated[
    bool,
    typer.Option(
        "--in-process", help="Load the devices in this process, not in a device host."
    ),
]


def _call(module: str, function: str, *args: object, **options: object) -> None:
    """Run one command; its module is imported now, so that ``--help`` is quick."""
    try:
        command: Any = getattr(import_module(module), function)
        code = command(Console(highlight=False, soft_wrap=True), *args, **options)
    except FaroError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"[bold red]Error:[/] {error}"
        )
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(code or 0)


@app.command()
def demo(
    output: Out = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated sample.")] = 0,
    *,
    in_process: InProcess = False,
) -> None:
    """Run a whole feedback experiment on a simulated microscope, and report it."""
    _call("faro.cli.demo", "run_demo", output, seed, hosted=not in_process)


@app.command()
def replay(
    directory: Annotated[Path, typer.Argument(help="Folder of a recorded run.")],
    output: Out = None,
) -> None:
    """Run the loop over the stored frames of a run, and compare with it."""
    _call("faro.cli.replay", "run_replay", directory, output)


@app.command()
def report(
    directory: Annotated[Path, typer.Argument(help="Folder of a run.")],
) -> None:
    """Write report.html and report.png of a run, finished or not."""
    _call("faro.cli.reporting", "run_report", directory)


@app.command()
def devices(
    rig: Annotated[
        str | None, typer.Option(help="Name of a rig, or module:Class.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Micro-Manager configuration to load.")
    ] = None,
) -> None:
    """Print what a microscope consists of: presets, light levels, devices."""
    _call("faro.cli.devices", "run_devices", rig, config)


@app.command()
def version() -> None:
    """Print the version."""
    Console(highlight=False).print(f"faro-microscopy {__version__}")


def main() -> None:
    """Run the command line with the arguments of this process."""
    sys.exit(app())
