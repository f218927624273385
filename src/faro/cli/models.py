"""``faro models``: weights that are here, fetched on purpose, and tried."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn
from rich.table import Table

from faro.analysis.learned.download import Download
from faro.analysis.learned.models import fetch, found_files, known_models, segmenter_of
from faro.analysis.learned.weights import weights_sha256

if TYPE_CHECKING:
    from rich.console import Console


def list_models(console: Console) -> None:
    """Print every model that is known, and where its weights lie."""
    table = Table(title="Weights", title_justify="left")
    for title in ("name", "component", "where"):
        table.add_column(title, overflow="fold")
    for model in known_models():
        place = model.place()
        where = "not here" if place is None else str(place)
        table.add_row(model.name, model.component, escape(where))
    for file, component in found_files():
        table.add_row(file.name, component, escape(str(file)))
    console.print(table)


def fetch_model(console: Console, name: str, sha256: str) -> None:
    """Fetch the weights of a known model, or the file at an address."""
    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(name)

        def show(here: int, size: int) -> None:
            progress.update(bar, completed=here, total=size or None)

        place = fetch(name, sha256, Download(on_progress=show))
    console.print(f"{escape(name)} lies at {escape(str(place))}")
    console.print(f"SHA-256 {weights_sha256(place)}")


def warm_up_model(console: Console, name: str, size_px: int) -> None:
    """Load a model and segment one image with it twice; say how long that took."""
    segmenter = segmenter_of(name)
    for what in ("load and first image", "second image"):
        began_s = time.perf_counter()
        segmenter.warm_up((size_px, size_px))
        took_s = time.perf_counter() - began_s
        console.print(f"{escape(name)}: {what}, {size_px} px: {took_s:.2f} s")
