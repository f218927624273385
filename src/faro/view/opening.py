"""How to open what a run left on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

REPORT = "report.html"
PICTURE = "report.png"
IMAGES = "images.ome.zarr"
TABLES = ("cells.parquet", "tables/cells.parquet")


def openers(path: Path, *, relative: bool = False) -> list[tuple[str, str]]:
    """Return what there is and the command or line of Python that opens it.

    Parameters
    ----------
    path
        The run folder.
    relative
        Write paths as seen from inside the folder.
    """
    found: list[tuple[str, str]] = []

    def shown(name: str) -> str:
        return name if relative else (path / name).as_posix()

    if (path / REPORT).exists() and not relative:
        found.append(("report", shown(REPORT)))
    table = next((name for name in TABLES if (path / name).exists()), None)
    if table:
        found.append(("pandas", f'pandas.read_parquet("{shown(table)}")'))
        found.append(("polars", f'polars.read_parquet("{shown(table)}")'))
    else:
        folder = "." if relative else path.as_posix()
        found.append(("table", f'faro.open_run("{folder}").cells'))
    images = sorted((path / IMAGES).glob("p*.ome.zarr"))[:1]
    if images:
        first = shown(f"{IMAGES}/{images[0].name}")
        found.append(("napari", f'napari --plugin napari-ome-zarr "{first}"'))
    return found
