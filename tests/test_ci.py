"""The gates themselves: what they read, and what they refuse."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import faro

ROOT = Path(__file__).parent.parent
DEMO = "python -m pip install -c constraints.txt . && python -m faro demo"
TESTS = "python -m pip install -c constraints.txt '.[test]' && python -m pytest"
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==[A-Za-z0-9.!+]+")

README = f"""
# FARO

```bash
python -m pip install something-else
```

## Try it
```bash
# an environment of its own
python -m venv .venv && source .venv/bin/activate
```
then
```bash
{DEMO}
{TESTS}
```

## Install
```bash
python -m pip install 'faro-microscopy[napari]'
```
"""

REPORT = """<testsuites><testsuite>
<testcase classname="tests.a" name="test_ran"/>
<testcase classname="tests.a" name="test_left_out">{inside}</testcase>
</testsuite></testsuites>"""


def script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``.ci/name`` and return how it ended."""
    return subprocess.run(
        [sys.executable, str(ROOT / ".ci" / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def plain(name: str) -> str:
    """Return the name of a distribution as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_two_commands_are_found_in_the_readme(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(README, encoding="utf-8")
    done = script("readme_commands.py", page)
    assert (done.returncode, done.stdout.splitlines()) == (0, [DEMO, TESTS])


@pytest.mark.parametrize(
    "text",
    [
        README.replace("## Try it", "## Start"),
        README.replace(TESTS, ""),
        README.replace("-m faro demo", "-m faro demo --quick"),
        README.replace(f"{DEMO}\n{TESTS}", f"{TESTS}\n{DEMO}"),
    ],
    ids=["other heading", "one command", "other command", "other order"],
)
def test_a_readme_without_the_promised_commands_is_refused(
    tmp_path: Path, text: str
) -> None:
    page = tmp_path / "README.md"
    page.write_text(text, encoding="utf-8")
    done = script("readme_commands.py", page)
    assert done.returncode == 1
    assert "must hold these two lines" in done.stderr


def test_our_readme_holds_the_promised_commands() -> None:
    done = script("readme_commands.py", ROOT / "README.md")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        ("", 0),
        ('<skipped type="pytest.skip" message="could not import polars"/>', 1),
        ('<skipped type="pytest.skip" message="needs the recordings"/>', 1),
        ('<skipped type="pytest.skip" message="needs Windows"/>', 0),
        ('<skipped type="pytest.skip" message="needs Python 3.13"/>', 0),
        ('<skipped type="pytest.xfail" message="a known bug"/>', 0),
    ],
)
def test_a_skip_for_a_missing_part_fails_the_gate(
    tmp_path: Path, inside: str, code: int
) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT.format(inside=inside), encoding="utf-8")
    done = script("check_skips.py", report)
    assert done.returncode == code
    assert ("tests.a::test_left_out" in done.stderr) == bool(code)


def test_a_report_of_no_tests_fails_the_gate(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text("<testsuites/>", encoding="utf-8")
    done = script("check_skips.py", report)
    assert done.returncode == 1
    assert "No test ran." in done.stderr


def test_constraints_pin_all_that_the_tests_and_tools_ask_for() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [PIN.fullmatch(line) for line in lines]
    assert not [line for line, pin in zip(lines, pins, strict=True) if not pin]
    pinned = [plain(pin["name"]) for pin in pins if pin]
    assert len(pinned) == len(set(pinned))

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["test"], *extras["dev"], *extras["docs"]]
    names = {plain(re.split(r"[\[<>=!~; ]", text, maxsplit=1)[0]) for text in asked}
    assert not names - set(pinned)


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == faro.__version__
    assert citation["license"] == "MIT"
    assert citation["title"].startswith("FARO")


def test_what_is_read_at_the_top_is_in_the_sdist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:
        pytest.skip("needs a git checkout")
    top = {f"/{name.partition('/')[0]}" for name in tracked.stdout.split()}
    assert top - set(included) == {"/.gitignore"}
