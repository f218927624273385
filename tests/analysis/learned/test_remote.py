"""A segmenter on a server: a real imaging-server-kit, and servers that are none."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from faro.analysis import ImagingServerSegmenter, OtsuSegmenter, ThresholdSegmenter
from faro.analysis.serverkit import RemoteError
from faro.testing.movie import synthetic_stack
from faro.testing.segmenter import check_segmenter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faro.model.frame import PixelArray

kit = pytest.mark.library("imaging-server-kit", "imaging_server_kit")

SERVER = '''
"""Algorithms behind imaging-server-kit, on the port that the system gives."""

import os, socket, sys, time
from pathlib import Path

import numpy as np
import skimage.data

skimage.data.brain = lambda: np.zeros((2, 4, 4))  # its import fetches this picture
import imaging_server_kit as sk
import uvicorn
from imaging_server_kit.remote.app import AlgorithmApp
from scipy import ndimage

folder = Path(sys.argv[1])


@sk.algorithm(name="bright", parameters={"level": sk.Integer(default=500, max=65535)})
def bright(image: sk.Image, level):
    structure = np.ones((3, 3))
    labels, _ = ndimage.label(np.asarray(image) > level, structure)
    return sk.Mask(labels.astype(np.uint16), name="cells")


@sk.algorithm(name="several")
def several(image: sk.Image):
    return sk.Mask((np.asarray(image).max(0) > 500).astype(np.uint8), name="cells")


@sk.algorithm(name="once")
def once(image: sk.Image):
    first = folder / "first"
    if not first.exists():
        first.touch()
        raise ValueError("out of memory")
    return sk.Mask((np.asarray(image) > 500).astype(np.uint16), name="cells")


@sk.algorithm(name="slow")
def slow(image: sk.Image):
    time.sleep(30)
    return sk.Mask(np.asarray(image) > 500, name="cells")


@sk.algorithm(name="spots")
def spots(image: sk.Image):
    return sk.Points(np.zeros((2, 2)), name="spots")


app = AlgorithmApp([bright, several, once, slow, spots], name="test")
door = socket.socket()
door.bind(("127.0.0.1", 0))
server = uvicorn.Server(uvicorn.Config(app.app, log_level="warning"))
print(door.getsockname()[1], flush=True)
server.run(sockets=[door])
'''


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    script = folder / "server.py"
    script.write_text(SERVER, encoding="utf-8")
    command = [sys.executable, "-W", "ignore", str(script), str(folder)]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as server,
    ):
        assert server.stdout is not None
        port = server.stdout.readline().strip().decode()
        assert port, (folder / "log").read_text(encoding="utf-8")
        yield f"http://127.0.0.1:{port}"
        server.kill()


@pytest.fixture
def cells() -> PixelArray:
    pixels = synthetic_stack((96, 120), n_cells=8, seed=1)[0][0]
    return np.ascontiguousarray(pixels)


@pytest.fixture
def silent() -> Iterator[str]:
    """Return the address of something that listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        yield f"http://127.0.0.1:{door.getsockname()[1]}"


@kit
def test_an_algorithm_keeps_the_contract_of_a_segmenter(url: str) -> None:
    check_segmenter(ImagingServerSegmenter(url, "bright", deadline_s=60))


@kit
def test_labels_are_those_of_the_algorithm(url: str, cells: PixelArray) -> None:
    level = int(cells.max()) // 2
    segmenter = ImagingServerSegmenter(url, "bright", {"level": level}, deadline_s=60)
    expected = ThresholdSegmenter(level, min_area_px=1).segment(cells)
    assert expected.max() > 3
    np.testing.assert_array_equal(segmenter.segment(cells), expected)


@kit
def test_several_channels_go_as_one_image(url: str, cells: PixelArray) -> None:
    segmenter = ImagingServerSegmenter(url, "several", deadline_s=60)
    both = np.stack([cells, cells[::-1]])
    np.testing.assert_array_equal(segmenter.segment(both), both.max(0) > 500)


@kit
def test_an_image_that_fails_is_sent_again(url: str, cells: PixelArray) -> None:
    segmenter = ImagingServerSegmenter(url, "once", deadline_s=60)
    np.testing.assert_array_equal(segmenter.segment(cells), cells > 500)


@kit
def test_a_slow_algorithm_costs_its_deadline(url: str, cells: PixelArray) -> None:
    segmenter = ImagingServerSegmenter(url, "slow", deadline_s=1.0)
    began_s = time.monotonic()
    with pytest.raises(RemoteError, match=f"{url} did not answer"):
        segmenter.segment(cells)
    assert time.monotonic() - began_s < 5 * 1.0


@kit
def test_what_the_server_does_not_have_is_said(url: str, cells: PixelArray) -> None:
    with pytest.raises(RemoteError, match=r"no algorithm 'nuclei'.*bright, several"):
        ImagingServerSegmenter(url, "nuclei").segment(cells)
    with pytest.raises(
        RemoteError, match=r"takes no threshold\. It takes: level, image"
    ):
        ImagingServerSegmenter(url, "bright", {"threshold": 5}).segment(cells)
    with pytest.raises(RemoteError, match=r"spots at .* gave points, not one mask"):
        ImagingServerSegmenter(url, "spots").segment(cells)
    with pytest.raises(RemoteError, match="refused: 422"):
        ImagingServerSegmenter(url, "bright", {"level": "high"}).segment(cells)


def test_a_silent_server_costs_the_deadline_and_the_fall_back_answers(
    silent: str, cells: PixelArray, caplog: pytest.LogCaptureFixture
) -> None:
    otsu = OtsuSegmenter()
    segmenter = ImagingServerSegmenter(silent, deadline_s=0.5, fallback=otsu)
    began_s = time.monotonic()
    with caplog.at_level(logging.WARNING, logger="faro"):
        labels = segmenter.segment(cells)
    assert time.monotonic() - began_s < 5 * 0.5
    np.testing.assert_array_equal(labels, otsu.segment(cells))
    assert segmenter.n_fallbacks == 1
    assert f"{silent} did not answer" in caplog.text
    with pytest.raises(RemoteError, match="did not answer"):
        segmenter.warm_up((8, 8))


def test_a_server_that_dribbles_is_held_to_the_deadline(cells: PixelArray) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=dribble, args=(door,), daemon=True)
        thread.start()
        segmenter = ImagingServerSegmenter(
            f"http://127.0.0.1:{door.getsockname()[1]}", deadline_s=1.0
        )
        began_s = time.monotonic()
        with pytest.raises(RemoteError, match="did not answer"):
            segmenter.segment(cells)
        assert time.monotonic() - began_s < 5 * 1.0


def dribble(door: socket.socket) -> None:
    """Answer one byte at a time, without end."""
    link, _ = door.accept()
    with link:
        link.recv(1 << 16)
        link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(1000):
            try:
                link.sendall(b" ")
            except OSError:
                return
            time.sleep(0.05)


def test_a_server_that_is_none_and_no_server_at_all_are_said() -> None:
    image = np.zeros((8, 8), np.uint16)
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        thread = threading.Thread(target=say_hello, args=(door,), daemon=True)
        thread.start()
        other = ImagingServerSegmenter(f"http://127.0.0.1:{port}")
        with pytest.raises(RemoteError, match="is no imaging-server-kit server"):
            other.segment(image)
    nobody = ImagingServerSegmenter(f"http://127.0.0.1:{port}", deadline_s=1.0)
    with pytest.raises(RemoteError, match=r"did not answer.*Start it"):
        nobody.segment(image)


def say_hello(door: socket.socket) -> None:
    """Answer one request with text."""
    link, _ = door.accept()
    with link:
        link.recv(1 << 16)
        link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
