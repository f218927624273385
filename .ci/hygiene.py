"""Small faults that no other gate sees, in the files given: ``hygiene.py FILE...``."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGEST_BYTES = 2_000_000
PARSERS: dict[str, Callable[[str], object]] = {
    ".json": json.loads,
    ".toml": tomllib.loads,
}
RULES = {
    r"\r": "has Windows line ends",
    r"[^\n]\Z": "does not end with a line end",
    r"\n\n\Z": "ends with empty lines",
    r"(?m)[ \t]+$": "has white space at the end of a line",
    r"(?m)^(<{7} |={7}$|>{7} )": "holds the marks of an unfinished merge",
}


def faults(path: Path) -> Iterator[str]:
    """Yield what is wrong with the file ``path``."""
    data = path.read_bytes()
    if len(data) > LARGEST_BYTES:
        yield f"has {len(data):,} bytes; at most {LARGEST_BYTES:,} belong in git"
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return  # a picture, or other data
    yield from (what for rule, what in RULES.items() if re.search(rule, text))
    try:
        PARSERS.get(path.suffix, str)(text)
    except ValueError as error:
        yield f"cannot be read: {error}"


def main() -> int:
    """Print every fault; return 1 where there is one."""
    paths = [Path(name) for name in sys.argv[1:]]
    found = [f"{p}: {what}" for p in paths if p.is_file() for what in faults(p)]
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
