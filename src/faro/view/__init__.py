"""What watches a run and shows it: the report and the terminal summary."""

from __future__ import annotations

from faro.view.notebook import ShowProgress
from faro.view.numbers import Facts, facts_of
from faro.view.report import ReportPaths, write_report
from faro.view.terminal import summary_lines

__all__ = [
    "Facts",
    "ReportPaths",
    "ShowProgress",
    "facts_of",
    "summary_lines",
    "write_report",
]
