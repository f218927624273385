"""The page and the picture of runs of all kinds, written with the real writer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread

from faro.errors import FaroError
from faro.storage import open_run
from faro.view import ReportPaths, facts_of, summary_lines, write_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VOID = {"meta", "img", "source", "br", "link", "input", "hr"}


@dataclass
class Parsed:
    """What a page holds."""

    text: str
    loads: list[str] = field(default_factory=list)
    alts: list[str | None] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


class Strict(HTMLParser):
    """Collects what a page loads; fails on tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.found = Parsed("")
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.text += " "
        named = dict(attrs)
        self.found.tags.append(tag)
        for name in ("src", "srcset", "href", "data", "poster", "action"):
            if name in named:
                self.found.loads.append(named[name] or "")
        if tag == "img":
            self.found.alts.append(named.get("alt"))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.found.text += data


def parsed(path: Path) -> Parsed:
    strict = Strict()
    strict.feed(path.read_text(encoding="utf-8"))
    strict.close()
    assert strict.open == []
    strict.found.text = " ".join(strict.found.text.split())
    return strict.found


@pytest.fixture(scope="session")
def report(write_run: Callable[..., Path]) -> Callable[..., ReportPaths]:
    """Return a function that writes the report of a story, once for equal ones."""
    written: dict[Path, ReportPaths] = {}

    def write(**kind: object) -> ReportPaths:
        path = write_run(**kind)
        if path not in written:
            written[path] = write_report(path)
        return written[path]

    return write


@pytest.fixture(scope="session")
def page(report: Callable[..., ReportPaths]) -> Callable[..., Parsed]:
    """Return a function that reads the page of a story."""
    return lambda **kind: parsed(report(**kind).html)


def test_a_page_loads_nothing_from_outside(
    report: Callable[..., ReportPaths],
) -> None:
    html = report().html
    found = parsed(html)
    assert found.loads
    assert all(a.startswith("data:image/png;base64,") for a in found.loads)
    text = html.read_text(encoding="utf-8")
    assert not re.search(r"url\(|@import|https?://|<script|<link", text)
    assert html.stat().st_size < 5_000_000


def test_a_page_describes_every_image_and_heads_every_table(
    page: Callable[..., Parsed],
) -> None:
    found = page()
    assert len(found.alts) > 9
    assert all(found.alts)
    assert found.tags.count("th") > 10
    assert "h1" in found.tags


def test_the_numbers_are_those_computed_by_hand(write_run: Callable[..., Path]) -> None:
    facts = facts_of(open_run(write_run()))
    counts = facts.counts
    assert (counts.cells, counts.tracks, counts.frames) == (120, 24, 120)
    assert (counts.fovs, counts.timepoints, counts.planned_timepoints) == (12, 5, 5)
    assert (len(facts.light.fired), facts.n_errors) == (32, 0)
    moved, ratio = facts.answer.responses
    loop, control, _ = facts.answer.arms
    assert moved.unit == "\N{MICRO SIGN}m"
    assert moved.of(loop)[1].tolist() == [3.0, 3.0, 3.0, 3.5]
    assert moved.of(control)[1].tolist() == [0.0, 0.0, 0.0, 0.5]
    treated, shifted = moved.comparisons
    assert (treated.arm, treated.difference) == ("loop", 3.0)
    assert treated.p_value == pytest.approx(2 / 70)
    assert treated.effect == pytest.approx(12 * 20 / 23)
    assert (shifted.arm, shifted.difference, shifted.p_value) == ("shifted", 0.0, 1.0)
    np.testing.assert_allclose(ratio.of(loop)[1], 0.25)
    assert facts.lateness.late_ms.max() == 500.0
    assert np.median(facts.loop.to_mask_ms) == 10.5


def test_a_page_shows_the_numbers(page: Callable[..., Parsed]) -> None:
    text = page().text
    for words in (
        "120 cells measured",
        "24 tracks",
        "32 stimulations fired",
        "loop minus control: +3.0 \N{MICRO SIGN}m; effect size 10, p = 0.029",
        "10 / 16 ms frame to mask",
        "seed 7",
        "shifted minus control",
    ):
        assert words in text


def test_a_killed_run_says_so(
    write_run: Callable[..., Path], page: Callable[..., Parsed]
) -> None:
    story = {"n_timepoints": 3, "ending": None, "fovs_per_arm": 1}
    path = write_run(**story)
    assert "killed or is still running" in page(**story).text
    facts = facts_of(open_run(path))
    assert facts.answer.span is not None
    assert facts.answer.span.end == 2
    assert "3 of 5" in "\n".join(summary_lines(open_run(path)))


def test_a_stopped_run_names_the_reason(page: Callable[..., Parsed]) -> None:
    assert "ended early (canceled)" in page(ending="canceled", n_timepoints=0).text


def test_a_run_without_cells_has_a_report(page: Callable[..., Parsed]) -> None:
    text = page(cells=False, light=False, fovs_per_arm=1).text
    assert "No cells were found." in text
    assert "Measured response" not in text
    assert "Trajectories" not in text


def test_a_run_without_frames_has_a_report(page: Callable[..., Parsed]) -> None:
    found = page(n_timepoints=0, ending=None)
    assert "0 of 5 timepoints" in found.text
    assert "killed or is still running" in found.text


def test_a_run_without_arms_and_light_has_no_test(page: Callable[..., Parsed]) -> None:
    text = page(arms=("",), fovs_per_arm=2, light=False).text
    assert "p-value" not in text
    assert "No test" not in text
    assert "all FOVs" not in text
    assert "FOV 1" in text


def test_arms_without_the_control_say_why_there_is_no_test(
    page: Callable[..., Parsed],
) -> None:
    assert (
        "No test: it needs an arm"
        in page(arms=("loop", "mock"), fovs_per_arm=1, n_timepoints=3).text
    )


def test_errors_are_shown_with_their_traceback_and_escaped(
    page: Callable[..., Parsed],
) -> None:
    found = page(error=True, fovs_per_arm=2)
    assert "<b>no</b> cells" in found.text
    assert "Traceback (most recent call last): ValueError" in found.text
    assert "FOV 1, timepoint 2" in found.text
    assert "no mask 1" in found.text
    assert "1 error was recorded" in found.text


def test_the_comparison_with_a_recording_is_a_table(
    write_run: Callable[..., Path],
) -> None:
    numbers = {"comparison": {"cells_matched": 0.98765, "area": {"largest_px": 3}}}
    text = parsed(write_report(write_run(n_timepoints=0, summary=numbers)).html).text
    assert "cells matched 0.9877" in text
    assert "area, largest px 3" in text


def test_numbers_given_by_the_caller_win(write_run: Callable[..., Path]) -> None:
    path = write_run(n_timepoints=0, summary={"comparison": {"left": 1}})
    text = parsed(write_report(path, reference={"right": 2}).html).text
    assert "right 2" in text
    assert "left 1" not in text


def test_the_picture_has_its_size_and_is_not_blank(
    report: Callable[..., ReportPaths],
) -> None:
    pixels = imread(report().png)
    assert pixels.shape[:2] == (1000, 1600)
    for part in (pixels[80:, :900], pixels[80:, 950:]):
        assert part[:, :, :3].std() > 0.05


@pytest.mark.parametrize(
    "kind",
    [
        {"arms": ("",), "fovs_per_arm": 2, "light": False},
        {"n_timepoints": 0, "ending": None},
        {"cells": False, "light": False, "fovs_per_arm": 1},
    ],
    ids=["one arm", "no frames", "no cells"],
)
def test_the_picture_of_any_run_has_its_size(
    report: Callable[..., ReportPaths], kind: dict[str, object]
) -> None:
    pixels = imread(report(**kind).png)
    assert pixels.shape[:2] == (1000, 1600)


def test_the_same_run_gives_the_same_bytes(write_run: Callable[..., Path]) -> None:
    settings = dict(mpl.rcParams)
    path = write_run(error=True, fovs_per_arm=2)
    first = [p.read_bytes() for p in (write_report(path).html, path / "report.png")]
    again = [p.read_bytes() for p in (write_report(path).html, path / "report.png")]
    assert first == again
    assert dict(mpl.rcParams) == settings


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FaroError, match="run"):
        write_report(tmp_path)
