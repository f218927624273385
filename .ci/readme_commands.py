"""Print the commands of README.md's "Try it", one a line, as a user would paste them.

``python .ci/readme_commands.py [README.md]`` fails where they are not the two that
a new user is promised: install and demo, install and tests.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PROMISED = (
    "python -m pip install -c constraints.txt . && python -m faro demo",
    "python -m pip install -c constraints.txt '.[test]' && python -m pytest",
)
SECTION = re.compile(r"^#+ Try it\b.*?$(.*?)(?=^#|\Z)", re.DOTALL | re.MULTILINE)
BASH_BLOCK = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)


def commands(readme: str) -> list[str]:
    """Return the install lines in the bash blocks under the heading "Try it".

    A line that only makes or enters a virtual environment is not among them.
    """
    # A comment in a bash block starts with '#', as a heading does: blocks come first.
    blocks = {f"block {i}": text for i, text in enumerate(BASH_BLOCK.findall(readme))}
    numbers = iter(blocks)
    outline = BASH_BLOCK.sub(lambda _: f"<{next(numbers)}>", readme)
    section = SECTION.search(outline)
    named = re.findall(r"<(block \d+)>", section[1]) if section else []
    lines = [line.strip() for name in named for line in blocks[name].splitlines()]
    return [line for line in lines if line.startswith("python -m pip install")]


def main() -> int:
    """Print the commands; return 1 where they are not the promised ones."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "README.md")
    found = commands(path.read_text(encoding="utf-8"))
    if tuple(found) != PROMISED:
        wanted = "\n  ".join(PROMISED)
        print(
            f"{path}: a bash block under 'Try it' must hold these two lines:\n"
            f"  {wanted}\nfound: {found}",
            file=sys.stderr,
        )
        return 1
    print("\n".join(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
