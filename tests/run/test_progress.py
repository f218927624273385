"""The live line says what a run does, and counts what is done."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from faro.run.notices import Notices
from faro.run.progress import ProgressLine


@pytest.fixture
def notices() -> Notices:
    return Notices()


@pytest.mark.parametrize("analysed", [True, False], ids=["analysed", "recorded"])
def test_the_bar_counts_what_is_analysed_or_what_is_taken(
    notices: Notices, *, analysed: bool
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=200)
    with ProgressLine(notices, 2, 2, console, analysed=analysed):
        for timestep in range(2):
            notices.tell(notices.acquiring.emit, timestep, 0)
            if analysed:
                notices.tell(notices.analysed.emit, timestep, 0, 7)
    assert "2/2" in screen.getvalue()
    assert ("7 cells" in screen.getvalue()) is analysed


def test_the_line_says_what_is_waited_for(notices: Notices) -> None:
    said = {
        "waiting until 18:30:00 on 24 November (90 min)": (
            notices.scheduled,
            ("waiting until 18:30:00 on 24 November", 5400.0),
        ),
        "paused: Add the drug.": (notices.paused, ("Add the drug.",)),
        "waiting 60 s for t=3": (notices.waiting, (3, 60.0)),
    }
    for words, (signal, facts) in said.items():
        screen = io.StringIO()
        console = Console(file=screen, force_terminal=True, width=200)
        line = ProgressLine(notices, 2, 2, console)
        with line:
            notices.tell(signal.emit, *facts)
            assert notices.flush(5.0)
            line.refresh()
        assert words in screen.getvalue()
