"""The ``faro`` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from faro import __version__
from faro.cli.calling import Host, Out, Port, call
from faro.cli.stored import app as stored

__all__ = ["app", "main"]

app = typer.Typer(
    name="faro",
    help="Closed-loop microscopy: acquire, segment, track, decide, shine light.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

InProcess = Annotated[
    bool,
    typer.Option(
        "--in-process", help="Load the devices in this process, not in a device host."
    ),
]

ExperimentPath = Annotated[
    Path,
    typer.Argument(help="Experiment file (.toml, .yaml, .json), or a run's folder."),
]
Progress = Annotated[bool, typer.Option(help="Show a live line while it runs.")]
Offline = Annotated[bool, typer.Option("--offline", help="Leave the microscope alone.")]


@app.command()
def demo(
    output: Out = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated sample.")] = 0,
    *,
    in_process: InProcess = False,
) -> None:
    """Run a whole feedback experiment on a simulated microscope, and report it."""
    call("faro.cli.demo", "run_demo", output, seed, hosted=not in_process)


@app.command()
def devices(
    rig: Annotated[
        str | None, typer.Option(help="Name of a rig, or module:Class.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Micro-Manager configuration to load.")
    ] = None,
    *,
    in_process: InProcess = False,
) -> None:
    """Print what a microscope consists of: presets, light levels, devices."""
    hosted = not in_process
    call("faro.cli.devices", "run_devices", rig, config, hosted=hosted)


@app.command()
def calibrate(  # noqa: PLR0913  the options of the command
    file: Annotated[
        Path, typer.Argument(help="Calibration to write; a picture goes beside it.")
    ] = Path("dmd.json"),
    rig: Annotated[
        str | None, typer.Option(help="Name of a rig, or module:Class.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Micro-Manager configuration to load.")
    ] = None,
    channel: Annotated[
        str, typer.Option(help="Preset of the light that goes through the DMD.")
    ] = "CyanStim",
    exposure_ms: Annotated[
        float, typer.Option("--exposure", help="Of each spot, ms.")
    ] = 50.0,
    power: Annotated[
        float | None, typer.Option(help="Light level; default: as the preset sets it.")
    ] = None,
    spots: Annotated[int, typer.Option(help="Spots in each round.")] = 25,
    seed: Annotated[int, typer.Option(help="Seed of their places.")] = 0,
    *,
    projective: Annotated[
        bool, typer.Option("--projective", help="For an oblique projection.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Try the file with one spot instead.")
    ] = False,
    in_process: InProcess = False,
) -> None:
    """Find out where each camera pixel lies on the DMD; or check that with one spot."""
    light = {"config": channel, "exposure": exposure_ms, "power": power}
    options: dict[str, Any] = {"count": spots, "seed": seed, "projective": projective}
    options |= {"light": light, "only_check": check, "hosted": not in_process}
    call("faro.cli.calibrate", "run_calibrate", rig, config, file, **options)


@app.command()
def run(  # noqa: PLR0913  the options of the command
    file: ExperimentPath,
    output: Out = None,
    host: Host = "127.0.0.1",
    port: Port = 0,
    *,
    progress: Progress = True,
    in_process: InProcess = False,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Show it in a browser, with controls.")
    ] = False,
) -> None:
    """Run the experiment of a file, and report it."""
    options: dict[str, Any] = {"progress": progress, "hosted": not in_process}
    options["place"] = (host, port) if dashboard else None
    call("faro.cli.experiment", "run_file", file, output, **options)


@app.command()
def resume(
    directory: Annotated[Path, typer.Argument(help="Folder of a run that was ended.")],
    *,
    keep_clock: Annotated[
        bool,
        typer.Option("--keep-clock", help="Keep the planned times; else they move."),
    ] = False,
    progress: Progress = True,
    in_process: InProcess = False,
) -> None:
    """Go on with a run whose process was killed, or that was stopped."""
    options: dict[str, Any] = {"keep_clock": keep_clock, "progress": progress}
    options["hosted"] = not in_process
    call("faro.cli.resuming", "run_resume", directory, **options)


@app.command()
def check(
    file: ExperimentPath,
    *,
    offline: Offline = False,
    in_process: InProcess = False,
) -> None:
    """Check an experiment before any light; every problem is listed."""
    options = {"offline": offline, "hosted": not in_process}
    call("faro.cli.experiment", "check_file", file, **options)


@app.command()
def show(
    file: ExperimentPath,
    kind: Annotated[
        str | None,
        typer.Option("--as", help="Print the file as toml, yaml or json instead."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Picture, or text with --as.")
    ] = None,
) -> None:
    """Say and draw what an experiment does when, where, in which channel."""
    call("faro.cli.experiment", "show_file", file, kind, output)


@app.command()
def init(
    file: Annotated[
        Path | None, typer.Argument(help="Default: experiment.toml.")
    ] = None,
) -> None:
    """Write a commented experiment file to begin with."""
    call("faro.cli.experiment", "init_file", file)


@app.command()
def schema() -> None:
    """Print the JSON schema of experiment files, for editors and forms."""
    call("faro.cli.experiment", "print_schema")


models = typer.Typer(help="Weights of learned segmenters: list, fetch, warm up.")
app.add_typer(models, name="models")


@models.callback(invoke_without_command=True)
def list_models(context: typer.Context) -> None:
    """List the models that are known and where their weights lie."""
    if context.invoked_subcommand is None:
        call("faro.cli.models", "list_models")


@models.command()
def fetch(
    name: Annotated[
        str, typer.Argument(help="For example cellpose/cpsam_v2; or an address.")
    ],
    sha256: Annotated[str, typer.Option(help="What the file must be.")] = "",
) -> None:
    """Fetch the weights of a model, before a run; a run never does."""
    call("faro.cli.models", "fetch_model", name, sha256)


@models.command(name="warm-up")
def warm_up(
    name: Annotated[str, typer.Argument(help="A name, or the file of a network.")],
    size_px: Annotated[int, typer.Option("--size", help="Edge of an image.")] = 512,
) -> None:
    """Load a model and segment an image twice; say how long that takes."""
    call("faro.cli.models", "warm_up_model", name, size_px)


@app.command()
def version() -> None:
    """Print the version."""
    Console(highlight=False).print(f"faro-microscopy {__version__}")


app.add_typer(stored)


def main() -> None:
    """Run the command line with the arguments of this process."""
    sys.exit(app())
