"""The report of a run: a page that needs nothing else, and one picture."""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined

from faro.errors import StorageError
from faro.storage import open_run
from faro.view.numbers import facts_of
from faro.view.opening import PICTURE, REPORT
from faro.view.page import page_of
from faro.view.panels import moments_of, panels_of, rows_of
from faro.view.picture import DPI, picture_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.view.page import Page

TEMPLATE = "report.html.jinja"


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Where the report is."""

    html: Path
    png: Path


def write_report(
    run_path: Path | str,
    *,
    arms: str | None = None,
    compare: tuple[str, str] | None = None,
    reference: Mapping[str, Any] | None = None,
    output: Path | None = None,
) -> ReportPaths:
    """Write ``report.html`` and ``report.png`` of a run.

    The run may go on, be killed, be one of the public FARO project, and be without
    arms, light or cells. The page is self-contained: it opens without network. The same
    run gives the same bytes.

    Parameters
    ----------
    run_path
        The run folder.
    arms
        Name in the metadata of a FOV that says which arm it belongs to; None for the
        usual one, see `faro.view.grouping`.
    compare
        Names of the treated arm and of the control; None for the usual ones.
    reference
        Numbers of a comparison with a recording, nested by name; by default what the
        summary of the run holds under ``"comparison"``.
    output
        Folder of the two files, created if absent; None for the run folder.

    Raises
    ------
    StorageError
        If there is no run at ``run_path``, or the folder cannot be written.
    """
    run = open_run(Path(run_path))
    facts = facts_of(run, arms=arms, compare=compare)
    panels = panels_of(run, facts, rows_of(facts), moments_of(facts))
    if reference is None:
        reference = (run.summary or {}).get("comparison") or {}
    folder = output or run.path
    paths = ReportPaths(folder / REPORT, folder / PICTURE)
    page = page_of(run, facts, panels, reference, beside=output is None)
    picture = io.BytesIO()
    picture_of(facts, panels).savefig(picture, format="png", dpi=DPI)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths.html.write_text(html_of(page), encoding="utf-8", newline="\n")
        paths.png.write_bytes(picture.getvalue())
    except OSError as error:
        problem = f"The report cannot be written to {folder}: {error}."
        remedy = "Give a folder that you may write to: faro report RUN -o FOLDER."
        raise StorageError(problem, remedy=remedy) from error
    return paths


def html_of(page: Page) -> str:
    """Return a page as HTML; everything that came from a run is escaped."""
    text = files("faro.view").joinpath(TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    return str(environment.from_string(text).render(page=page))
