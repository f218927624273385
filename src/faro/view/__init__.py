"""What watches a run and shows it: the report and the terminal summary."""

from __future__ import annotations

from faro.view.numbers import Facts, facts_of
from faro.view.report import ReportPaths, write_report
from faro.view.terminal import summary_lines

__all__ = ["Facts", "ReportPaths", "facts_of", "summary_lines", "write_report"]
