"""Fail where a test was skipped because a part is missing: ``check_skips.py XML``.

With ``--none`` before it, no skip is allowed at all.

The argument is what ``pytest --junitxml=XML`` wrote. A library, a browser, a kernel
or data that is missing is for ``.ci/run`` to install, not for a test to skip.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

# What no installation can mend: another system, another Python, a real rig; and what
# .ci/run tests in an environment of its own, where --none holds. A loop device, to cut
# the power of a disk, comes from the kernel.
APART = (
    "napari-ome-zarr|bioformats|trackpy|laptrack|btrack|trackastra|"
    "onnx|torch|cellpose|stardist|convpaint|imaging-server-kit"
)
SYSTEM = r"Windows|Python 3\.\d+|a rig|root and a loop device"
ALLOWED = re.compile(rf"needs ({SYSTEM}|{APART})\b")


def unexcused(report: ET.Element, *, none: bool = False) -> list[str]:
    """Return "test: reason" of every skip that is not allowed."""
    skips = [
        (f"{case.get('classname')}::{case.get('name')}", skip.get("message", ""))
        for case in report.iter("testcase")
        for skip in case.iter("skipped")
        if skip.get("type") != "pytest.xfail"
    ]
    return [f"{test}: {why}" for test, why in skips if none or not ALLOWED.search(why)]


def main() -> int:
    """Print what was skipped without excuse; return 1 where there is any."""
    *options, path = sys.argv[1:]
    report = ET.fromstring(Path(path).read_text(encoding="utf-8"))
    count = sum(1 for _ in report.iter("testcase"))
    if not count:
        print("No test ran.", file=sys.stderr)
        return 1
    missing = unexcused(report, none="--none" in options)
    for line in missing:
        print(f"skipped for a missing part: {line}", file=sys.stderr)
    print(f"skips: {count} tests, {len(missing)} skipped for a missing part")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
