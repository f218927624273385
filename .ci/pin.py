"""Write constraints.txt anew: what ``.[test,dev,docs]`` installs today, pinned.

Run it with the oldest Python we support: its versions serve the newer ones too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Asked for on Windows only, so that no Linux environment holds it.
ELSEWHERE = ("colorama==0.4.6",)


def main() -> int:
    """Install into a new environment and write down its versions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    oldest = project["requires-python"].removeprefix(">=")
    if "{}.{}".format(*sys.version_info) != oldest:
        print(f"Run this with Python {oldest}, the oldest that we support.")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        tools = "Scripts" if sys.platform == "win32" else "bin"
        pip = [str(Path(folder, tools, "python")), "-m", "pip"]
        subprocess.run(
            [*pip, "install", "--quiet", f"{ROOT}[test,dev,docs]"], check=True
        )
        freeze = [*pip, "freeze", "--exclude", project["name"]]
        found = subprocess.run(freeze, check=True, capture_output=True, text=True)
    pins = sorted([*found.stdout.split(), *ELSEWHERE], key=str.casefold)
    (ROOT / "constraints.txt").write_text("\n".join(pins) + "\n", encoding="utf-8")
    print(f"constraints.txt: {len(pins)} versions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
