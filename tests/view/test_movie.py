"""Movies of a run: as long as the run, with what was seen, and readable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from faro.cli import app
from faro.model import RunNeeds, Stack
from faro.storage import OmeZarrWriter, open_run
from faro.testing.movie import synthetic_stack
from faro.view.look import LIT, OUTLINE
from faro.view.movie import MovieError, MovieLook, write_movie

if TYPE_CHECKING:
    from pathlib import Path

    from faro.storage import Run
    from faro.view.panels import Rgb

SHAPE = (100, 121)
N_TIMES, GONE, LIT_AT = 6, 2, 4


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run that was never closed; a frame is missing, one has light."""
    writer = OmeZarrWriter(tmp_path_factory.mktemp("movie") / "run")
    writer.open(RunNeeds(9, (0,), ("a", "b"), SHAPE), {})
    for t in range(N_TIMES):
        if t == GONE:
            continue
        pixels, labels = synthetic_stack(SHAPE, 8, seed=3)
        stack = Stack(pixels, ("a", "b"), 0, t, planned_s=700.0 * t)
        writer.store_stack(stack, {})
        writer.store_labels("nuclei", 0, t, labels)
        if t == LIT_AT:
            mask = np.zeros(SHAPE, np.uint8)
            mask[:40] = 255
            writer.store_labels("stim_mask", 0, t, mask)
    return open_run(writer.path)


def pictures(path: Path) -> list[Rgb]:
    """Return the pictures of a movie as another program sees them."""
    with av.open(str(path)) as container:
        shown = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    return [picture.astype(np.uint8) for picture in shown]


def near(picture: Rgb, colour: tuple[int, int, int]) -> int:
    """Return how many pixels have about this colour."""
    apart = np.abs(picture.astype(int) - colour).sum(axis=-1)
    return int((apart < 90).sum())


@pytest.mark.parametrize("ending", [".mp4", ".gif"])
def test_a_movie_shows_every_timepoint_with_cells_and_light(
    run: Run, tmp_path: Path, ending: str
) -> None:
    path = write_movie(run, tmp_path / f"p{ending}", 0)
    shown = pictures(path)
    assert len(shown) == N_TIMES
    assert all(n % 2 == 0 for n in shown[0].shape[:2])
    for t, picture in enumerate(shown):
        assert (near(picture, OUTLINE) > 200) == (t != GONE)
        assert (near(picture, LIT["blue"]) > 200) == (t == LIT_AT)
    body = shown[GONE][:-40]
    assert body.max() < 40


def test_the_speed_and_the_outlines_are_chosen(run: Run, tmp_path: Path) -> None:
    look = MovieLook(channel="b", rate_hz=2.0, side_px=240, outlines=False)
    path = write_movie(run, tmp_path / "b.mp4", 0, look)
    with av.open(str(path)) as container:
        assert float(container.streams.video[0].average_rate or 0) == 2.0
        assert container.streams.video[0].codec_context.name == "h264"
    assert near(pictures(path)[0], OUTLINE) == 0
    gif = write_movie(run, tmp_path / "b.gif", 0, look)
    with Image.open(gif) as image:
        assert image.info["duration"] == 500


def test_what_cannot_be_shown_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "there.gif").touch()
    wrong = {
        "is not replaced": ("there.gif", 0, MovieLook()),
        "no movie": ("p.avi", 0, MovieLook()),
        "no channel 'GFP'.*a, b": ("p.mp4", 0, MovieLook(channel="GFP")),
        "no frame of fov 7": ("p.mp4", 7, MovieLook()),
    }
    for told, (name, fov, look) in wrong.items():
        with pytest.raises(MovieError, match=told):
            write_movie(run, tmp_path / name, fov, look)
    assert not (tmp_path / "p.mp4").exists()


def test_the_command_writes_a_movie_of_each_position(run: Run, tmp_path: Path) -> None:
    given = ["movie", str(run.path), "-o", str(tmp_path / "out"), "--gif"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["p000.gif"]
