"""How things show themselves in a notebook: a plain table, escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

CELL: Final = "text-align: left; padding: 0 1em 0 0; vertical-align: top"


def table_html(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and values as HTML.

    >>> table_html("a run", [("state", "<killed>")]).count("&lt;killed&gt;")
    1
    """
    lines = [
        f'<tr><th scope="row" style="{CELL}">{escape(name)}</th>'
        f'<td style="{CELL}">{escape(value)}</td></tr>'
        for name, value in rows
    ]
    head = f'<caption style="text-align: left"><b>{escape(title)}</b></caption>'
    return f"<table>{head}<tbody>{''.join(lines)}</tbody></table>"
