"""How a command is run: its module is loaded now, and what it raises is told."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from faro.errors import FaroError

Out = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder of the run; must not exist yet."),
]
RunFolder = Annotated[Path, typer.Argument(help="Folder of a run.")]
Host = Annotated[
    str,
    typer.Option(
        "--host",
        help="Address where the dashboard listens; any but this one lets others in.",
    ),
]
Port = Annotated[int, typer.Option("--port", help="Of the dashboard; 0: a free one.")]


def call(module: str, function: str, *args: object, **options: object) -> None:
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
