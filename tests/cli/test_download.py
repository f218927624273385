"""Weights come over HTTP whole and right, or not at all; from a server on loopback."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from faro.analysis import MissingWeightsError
from faro.analysis.learned import models
from faro.analysis.learned.download import Download, DownloadError
from faro.analysis.learned.models import fetch
from faro.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WEIGHTS = bytes(range(256)) * 12_000  # more than one block
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
QUICK = Download(wait_s=0.0, timeout_s=5.0)
FAULTS = ("503", "429", "half", "half, no ETag", "half, changed", "rubbish", "silent")


@dataclass
class Weights:
    """What the server has, and how it answers the next requests."""

    faults: list[str] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    data: bytes = WEIGHTS
    address: str = ""


class Handler(BaseHTTPRequestHandler):
    """Answers as it is told, once each."""

    def __init__(self, weights: Weights, *given: Any) -> None:
        self.weights = weights
        super().__init__(*given)

    def do_GET(self) -> None:
        """Give the file, or what is wrong this time."""
        weights = self.weights
        fault = weights.faults.pop(0) if weights.faults else ""
        weights.asked.append((self.path, self.headers.get("Range")))
        if fault.isdecimal():
            self.send_error(int(fault))
        elif self.path.startswith("/elsewhere/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/elsewhere"))
            self.send_header("X-Linked-ETag", f'"{SHA256}"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif fault != "silent":
            self._give(fault, b"\0" * 5_000 if fault == "rubbish" else weights.data)

    def _give(self, fault: str, data: bytes) -> None:
        etag, given = f'"{hashlib.md5(data).hexdigest()}"', self.headers.get("Range")
        start = 0
        if given and self.headers.get("If-Range") == etag:
            start = int(given.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if fault != "half, no ETag":
            self.send_header("ETag", '"old"' if fault == "half, changed" else etag)
        self.end_headers()
        end = len(data) // 2 if fault.startswith("half") else len(data)
        self.wfile.write(data[start:end])

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Weights]:
    weights = Weights()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, weights)) as http:
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        weights.address = f"http://127.0.0.1:{http.server_port}"
        yield weights
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FARO_MODELS", str(tmp_path / "own"))
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path / "cellpose"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_network_is_got_over(
    server: Weights, folder: Path, fault: str
) -> None:
    server.faults = [fault, fault]
    place = folder / "deep" / "nuclei.onnx"
    assert QUICK.fetch(f"{server.address}/nuclei.onnx", place, SHA256) == SHA256
    assert place.read_bytes() == WEIGHTS
    assert len(server.asked) == 3
    assert [file.name for file in place.parent.iterdir()] == ["nuclei.onnx"]


def test_what_broke_off_goes_on_where_it_was(server: Weights, folder: Path) -> None:
    server.faults = ["half"]
    seen: list[tuple[int, int]] = []
    how = Download(wait_s=0.0, on_progress=lambda *now: seen.append(now))
    how.fetch(f"{server.address}/nuclei.onnx", folder / "nuclei.onnx")
    half = len(WEIGHTS) // 2
    assert [given for _, given in server.asked] == [None, f"bytes={half}-"]
    assert seen[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert [here for here, _ in seen] == sorted(here for here, _ in seen)


@pytest.mark.parametrize(
    ("faults", "said", "n_asked"),
    [
        (["404"], "the server says 404 Not Found", 1),
        (["503"] * 9, "the server says 503", 5),
        (["half"] * 9, "it ended after", 5),
        (["rubbish"] * 9, "its SHA-256 is .*, not", 5),
    ],
)
def test_what_cannot_be_had_leaves_what_was_there(
    server: Weights, folder: Path, faults: list[str], said: str, n_asked: int
) -> None:
    server.faults = faults
    place = folder / "nuclei.onnx"
    place.write_bytes(b"old")
    with pytest.raises(DownloadError, match=f"nuclei.onnx could not .*{said}"):
        QUICK.fetch(f"{server.address}/nuclei.onnx", place, SHA256)
    assert len(server.asked) == n_asked
    assert place.read_bytes() == b"old"
    assert [file.name for file in folder.iterdir()] == ["nuclei.onnx"]


def test_a_server_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(
        DownloadError, match=r"could not be fetched: URLError.*copy the"
    ):
        QUICK.fetch("http://127.0.0.1:9/nuclei.onnx", folder / "nuclei.onnx")
    with pytest.raises(DownloadError, match="'ftp://host/x' is no address"):
        QUICK.fetch("ftp://host/x", folder / "x")


def test_a_network_comes_from_an_address_into_the_folder_of_models(
    server: Weights, folder: Path
) -> None:
    address = f"{server.address}/my%20nuclei.onnx?version=3"
    command = ["models", "fetch", address, "--sha256", SHA256.upper()]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    place = folder / "own" / "my nuclei.onnx"
    assert place.read_bytes() == WEIGHTS
    assert f"SHA-256 {SHA256}" in done.output
    assert CliRunner().invoke(app, command).exit_code == 0
    assert len(server.asked) == 1, "it is fetched once"
    place.write_bytes(b"other")
    assert fetch(address, SHA256) == place
    assert place.read_bytes() == WEIGHTS
    wrong = CliRunner().invoke(app, ["models", "fetch", f"{server.address}/"])
    assert wrong.exit_code == 2
    assert "names no file" in wrong.output


def test_weights_of_cellpose_are_what_their_server_says_they_are(
    server: Weights, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "CELLPOSE_ADDRESS", f"{server.address}/elsewhere/")
    server.data = WEIGHTS[:-1]
    with pytest.raises(MissingWeightsError, match=f"SHA-256 is .*, not {SHA256}"):
        fetch("cellpose/cpsam_v2", how=QUICK)
    assert list((folder / "cellpose").iterdir()) == []
    server.data = WEIGHTS
    assert fetch("cellpose/cpsam_v2") == folder / "cellpose" / "cpsam_v2"
    assert (folder / "cellpose" / "cpsam_v2").read_bytes() == WEIGHTS
