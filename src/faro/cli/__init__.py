"""The ``faro`` command."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

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

ExperimentPath = Annotated[
    Path,
    typer.Argument(help="Experiment file (.toml, .yaml, .json), or a run's folder."),
]
OtherPipeline = Annotated[
    Path | None,
    typer.Option(help="Experiment file whose pipeline is used; default: the run's."),
]
Progress = Annotated[bool, typer.Option(help="Show a live line while it runs.")]
Offline = Annotated[bool, typer.Option("--offline", help="Leave the microscope alone.")]


def _call(module: str, function: str, *args: object, **options: object) -> None:
    """Run one command; its module is imported now, so that ``--help`` is quick."""
    try:
        command: Any = getattr(import_module(module), function)
        code = command(Console(highlight=False, soft_wrap=True), *args, **options)
    except FaroError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"[bold red]Error:[/] {escape(str(error))}"
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
    pipeline: OtherPipeline = None,
    speed: Annotated[
        str,
        typer.Option(help="fast, recorded, or a number: so many times faster."),
    ] = "fast",
    *,
    diff: Annotated[
        bool,
        typer.Option("--diff", help="Name the first frame and stage that differ."),
    ] = False,
) -> None:
    """Run the loop over the stored frames of a run, and compare with it."""
    options: dict[str, Any] = {"pipeline": pipeline, "speed": speed, "diff": diff}
    _call("faro.cli.replay", "run_replay", directory, output, **options)


@app.command()
def reanalyze(
    directory: Annotated[Path, typer.Argument(help="Folder of a recorded run.")],
    output: Out = None,
    pipeline: OtherPipeline = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Address or file of a dask scheduler, to use its workers."),
    ] = None,
    reuse: Annotated[
        list[Path] | None,
        typer.Option(help="Another run whose results may be taken; can be repeated."),
    ] = None,
) -> None:
    """Segment, track, measure and decide again on stored frames, as far as needed."""
    options: dict[str, Any] = {"pipeline": pipeline, "workers": workers}
    options |= {"scheduler": scheduler, "reuse": reuse or ()}
    _call("faro.cli.reanalysis", "run_reanalysis", directory, output, **options)


@app.command()
def report(
    directory: Annotated[Path, typer.Argument(help="Folder of a run.")],
) -> None:
    """Write report.html and report.png of a run, finished or not."""
    _call("faro.cli.reporting", "run_report", directory)


@app.command()
def export(
    directory: Annotated[Path, typer.Argument(help="Folder of a run.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the files.")
    ] = None,
    position: Annotated[
        list[int] | None,
        typer.Option(help="Index of a position; give it again for more. Default: all."),
    ] = None,
    compression: Annotated[
        str, typer.Option(help="zlib, zstd or none; Fiji reads zlib and none.")
    ] = "zlib",
    *,
    tracks: Annotated[
        bool,
        typer.Option("--tracks", help="Tracks, as the Cell Tracking Challenge has it."),
    ] = False,
) -> None:
    """Write a run, or some of its positions, as files for other programs."""
    options: dict[str, Any] = {"positions": position, "compression": compression}
    options["tracks"] = tracks
    _call("faro.cli.exporting", "run_export", directory, output, **options)


@app.command()
def movie(  # noqa: PLR0913  the options of the command
    directory: Annotated[Path, typer.Argument(help="Folder of a run.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the movies.")
    ] = None,
    position: Annotated[
        list[int] | None,
        typer.Option(help="Index of a position; give it again for more. Default: all."),
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Default: the first.")] = None,
    fps: Annotated[float, typer.Option(min=0.1, help="Timepoints a second.")] = 8.0,
    *,
    gif: Annotated[bool, typer.Option("--gif", help="Write gif, not mp4.")] = False,
    outlines: Annotated[bool, typer.Option(help="Draw cells and light.")] = True,
) -> None:
    """Write a movie of each position, with cells outlined and the light drawn in."""
    options: dict[str, Any] = {
        "positions": position,
        "channel": channel,
        "rate_hz": fps,
    }
    options |= {"gif": gif, "outlines": outlines}
    _call("faro.cli.movies", "run_movie", directory, output, **options)


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
) -> None:
    """Find out where each camera pixel lies on the DMD; or check that with one spot."""
    light = {"config": channel, "exposure": exposure_ms, "power": power}
    options: dict[str, Any] = {"count": spots, "seed": seed, "projective": projective}
    options |= {"light": light, "only_check": check}
    _call("faro.cli.calibrate", "run_calibrate", rig, config, file, **options)


@app.command()
def run(
    file: ExperimentPath,
    output: Out = None,
    *,
    progress: Progress = True,
    in_process: InProcess = False,
) -> None:
    """Run the experiment of a file, and report it."""
    hosted = not in_process
    options = {"progress": progress, "hosted": hosted}
    _call("faro.cli.experiment", "run_file", file, output, **options)


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
    _call("faro.cli.resuming", "run_resume", directory, **options)


@app.command()
def check(
    file: ExperimentPath,
    *,
    offline: Offline = False,
) -> None:
    """Check an experiment before any light; every problem is listed."""
    _call("faro.cli.experiment", "check_file", file, offline=offline)


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
    _call("faro.cli.experiment", "show_file", file, kind, output)


@app.command()
def init(
    file: Annotated[
        Path | None, typer.Argument(help="Default: experiment.toml.")
    ] = None,
) -> None:
    """Write a commented experiment file to begin with."""
    _call("faro.cli.experiment", "init_file", file)


@app.command()
def schema() -> None:
    """Print the JSON schema of experiment files, for editors and forms."""
    _call("faro.cli.experiment", "print_schema")


RunFolder = Annotated[Path, typer.Argument(help="Folder of a run.")]


@app.command()
def info(directory: RunFolder) -> None:
    """Say what a run holds: images, labels, cells, how it ended."""
    _call("faro.cli.information", "run_info", directory)


@app.command()
def convert(
    directory: RunFolder,
    output: Out = None,
    layout: Annotated[
        str, typer.Option(help="collection or plate (OME-Zarr), or tiff.")
    ] = "collection",
) -> None:
    """Write a run, ours or of public FARO, in another layout, and compare the two."""
    _call("faro.cli.information", "run_convert", directory, output, layout=layout)


@app.command()
def verify(directory: RunFolder) -> None:
    """Check a run on disk: every frame, row, line and the metadata. Changes nothing."""
    _call("faro.cli.checking", "run_verify", directory)


@app.command()
def repair(directory: RunFolder) -> None:
    """Mend what can be mended in a run that was killed or damaged, then check it."""
    _call("faro.cli.checking", "run_repair", directory)


@app.command()
def pack(
    directory: RunFolder,
    timepoints: Annotated[
        int | None,
        typer.Option(min=2, help="Timepoints in a file; default: up to 100."),
    ] = None,
) -> None:
    """Put many timepoints into one file, after a run; can be ended and begun again."""
    _call("faro.cli.checking", "run_pack", directory, timepoints)


models = typer.Typer(help="Weights of learned segmenters: list, fetch, warm up.")
app.add_typer(models, name="models")


@models.callback(invoke_without_command=True)
def list_models(context: typer.Context) -> None:
    """List the models that are known and where their weights lie."""
    if context.invoked_subcommand is None:
        _call("faro.cli.models", "list_models")


@models.command()
def fetch(
    name: Annotated[str, typer.Argument(help="For example cellpose/cpsam_v2.")],
) -> None:
    """Fetch the weights of a model, before a run; a run never does."""
    _call("faro.cli.models", "fetch_model", name)


@models.command(name="warm-up")
def warm_up(
    name: Annotated[str, typer.Argument(help="A name, or the file of a network.")],
    size_px: Annotated[int, typer.Option("--size", help="Edge of an image.")] = 512,
) -> None:
    """Load a model and segment an image twice; say how long that takes."""
    _call("faro.cli.models", "warm_up_model", name, size_px)


@app.command()
def version() -> None:
    """Print the version."""
    Console(highlight=False).print(f"faro-microscopy {__version__}")


def main() -> None:
    """Run the command line with the arguments of this process."""
    sys.exit(app())
