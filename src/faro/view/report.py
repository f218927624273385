"""The report of a run: a page that needs nothing else, and one picture."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined

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
    arms: str = "arm",
    compare: tuple[str, str] = ("loop", "control"),
    reference: Mapping[str, Any] | None = None,
) -> ReportPaths:
    """Write ``report.html`` and ``report.png`` into the folder of a run.

    The run may be unfinished, without arms, without light, without cells. The page is
    self-contained: it opens without network. The same run gives the same bytes.

    Parameters
    ----------
    run_path
        The run folder.
    arms
        Name in the metadata of a FOV that says which arm it belongs to.
    compare
        Names of the treated arm and of the control.
    reference
        Numbers of a comparison with a recording, nested by name; by default what the
        summary of the run holds under ``"comparison"``.

    Raises
    ------
    StorageError
        If there is no run at ``run_path``.
    """
    run = open_run(Path(run_path))
    facts = facts_of(run, arms=arms, compare=compare)
    panels = panels_of(run, facts, rows_of(facts), moments_of(facts))
    if reference is None:
        reference = (run.summary or {}).get("comparison") or {}
    paths = ReportPaths(run.path / REPORT, run.path / PICTURE)
    page = page_of(run, facts, panels, reference)
    paths.html.write_text(html_of(page), encoding="utf-8", newline="\n")
    picture_of(facts, panels).savefig(paths.png, format="png", dpi=DPI)
    return paths


def html_of(page: Page) -> str:
    """Return a page as HTML; everything that came from a run is escaped."""
    text = files("faro.view").joinpath(TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    return str(environment.from_string(text).render(page=page))
