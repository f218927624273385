"""The reference of the command line, written by typer from the command itself."""

from __future__ import annotations

import re
import subprocess
import sys

BEGIN = """# The `faro` command

This page is made from the command. `faro COMMAND --help` says the same. Every command
ends with 0 when all is well, 2 when the input is wrong, and 130 after Ctrl-C; what else
a command ends with is said at its how-to.
"""


def page() -> str:
    """Return the page."""
    typer = [sys.executable, "-X", "utf8", "-m", "typer"]
    found = subprocess.run(
        [*typer, "faro.cli", "utils", "docs", "--name", "faro"],
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    body = found.stdout.partition("\n")[2]  # without its title
    return f"{BEGIN}\n{with_whole_summaries(body)}"


def with_whole_summaries(text: str) -> str:
    """Return the text with what typer cut short in its lists said in full."""
    said = dict(re.findall(r"^#+ `faro ([\w -]+)`\n+([^\n]+)", text, re.MULTILINE))
    last_words = {name.rpartition(" ")[2]: line for name, line in said.items()}

    def whole(item: re.Match[str]) -> str:
        name = item["name"]
        return f"* `{name}`: {last_words[name]}" if name in last_words else item[0]

    return re.sub(r"^\* `(?P<name>[\w-]+)`: .*", whole, text, flags=re.MULTILINE)
