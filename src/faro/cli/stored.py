"""Commands for stored runs: replay, re-analyse, look after, look at, hand on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from faro.cli.calling import Host, Out, Port, RunFolder, call

app = typer.Typer()

OtherPipeline = Annotated[
    Path | None,
    typer.Option(help="Experiment file whose pipeline is used; default: the run's."),
]


@app.command()
def watch(
    target: Annotated[
        str, typer.Argument(help="Folder of a run, or address of its dashboard.")
    ],
    every_s: Annotated[
        float, typer.Option("--every", min=0.1, help="Seconds between two looks.")
    ] = 1.0,
    host: Host = "127.0.0.1",
    port: Port = 0,
    *,
    table: Annotated[
        bool, typer.Option("--table", help="A table in the terminal instead.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="A line for every change, for a log.")
    ] = False,
) -> None:
    """Show a run in a browser, or in the terminal; at no cost to the run."""
    show = "plain" if plain else "table" if table else "dashboard"
    options: dict[str, Any] = {"show": show, "every_s": every_s, "place": (host, port)}
    call("faro.cli.watching", "run_watch", target, **options)


@app.command()
def guard(  # noqa: PLR0913  the options of the command
    directory: RunFolder,
    notify: Annotated[
        list[str] | None,
        typer.Option(help="Address, like json://host/path or mailto://...; repeat."),
    ] = None,
    command: Annotated[
        list[str] | None, typer.Option(help="Program to call; can be repeated.")
    ] = None,
    feature: Annotated[
        list[str] | None,
        typer.Option(help="NAME:LOW:HIGH, for the median of the newest timepoint."),
    ] = None,
    late_s: Annotated[
        float | None, typer.Option("--late", help="Seconds that are too late.")
    ] = None,
    disk_gb: Annotated[
        float, typer.Option("--disk", help="GB that must stay free; 0: not asked.")
    ] = 1.0,
    every_s: Annotated[
        float, typer.Option("--every", min=0.1, help="Seconds between two looks.")
    ] = 1.0,
) -> None:
    """Tell of a stall, a crash, errors, lateness, a full disk, until the run ends."""
    options: dict[str, Any] = {"notify": notify or (), "commands": command or ()}
    options |= {"features": feature or (), "late_s": late_s}
    options["disk_bytes"] = int(disk_gb * 1e9)
    call("faro.cli.watching", "run_guard", directory, every_s=every_s, **options)


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
    call("faro.cli.replay", "run_replay", directory, output, **options)


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
    call("faro.cli.reanalysis", "run_reanalysis", directory, output, **options)


@app.command()
def report(
    directory: Annotated[Path, typer.Argument(help="Folder of a run.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder of the report; default: the run."),
    ] = None,
) -> None:
    """Write report.html and report.png of a run: finished, going on, killed, public."""
    call("faro.cli.reporting", "run_report", directory, output)


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
    geff: Annotated[
        bool, typer.Option("--geff", help="Tracks, as a graph in the GEFF format.")
    ] = False,
) -> None:
    """Write a run, or some of its positions, as files for other programs."""
    options: dict[str, Any] = {"positions": position, "compression": compression}
    options |= {"tracks": tracks, "geff": geff}
    call("faro.cli.exporting", "run_export", directory, output, **options)


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
    call("faro.cli.movies", "run_movie", directory, output, **options)


@app.command()
def info(directory: RunFolder) -> None:
    """Say what a run holds: images, labels, cells, how it ended."""
    call("faro.cli.information", "run_info", directory)


@app.command()
def convert(
    directory: RunFolder,
    output: Out = None,
    layout: Annotated[
        str, typer.Option(help="collection or plate (OME-Zarr), or tiff.")
    ] = "collection",
    compression: Annotated[
        str, typer.Option(help="Of tiff: zlib, zstd or none; Fiji reads zlib and none.")
    ] = "zlib",
) -> None:
    """Write a run, ours or of public FARO, in another layout, and compare the two."""
    options = {"layout": layout, "compression": compression}
    call("faro.cli.information", "run_convert", directory, output, **options)


@app.command()
def verify(directory: RunFolder) -> None:
    """Check a run on disk: every frame, row, line and the metadata. Changes nothing."""
    call("faro.cli.checking", "run_verify", directory)


@app.command()
def repair(directory: RunFolder) -> None:
    """Mend what can be mended in a run that was killed or damaged, then check it."""
    call("faro.cli.checking", "run_repair", directory)


@app.command()
def pack(
    directory: RunFolder,
    timepoints: Annotated[
        int | None,
        typer.Option(min=2, help="Timepoints in a file; default: up to 100."),
    ] = None,
) -> None:
    """Put many timepoints into one file, after a run; can be ended and begun again."""
    call("faro.cli.checking", "run_pack", directory, timepoints)
