"""The dashboard's process, what it tells over HTTP, and what it draws."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from faro.cli import app
from faro.storage import open_run
from faro.view.dashboard import charts, curves
from faro.view.dashboard.drawing import Pictures, Wanted, write_ids
from faro.view.dashboard.launch import DashboardError, start_dashboard
from faro.view.dashboard.live import Live
from faro.view.dashboard.told import dose_rows, next_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from faro.view.dashboard.launch import Dashboard

Answer = tuple[int, dict[str, str], bytes]


def get(dashboard: Dashboard, path: str, token: str | None = None) -> Answer:
    """Return status, headers and body; the right token if none is given."""
    parts = urlsplit(dashboard.url)
    token = dict(parse_qsl(parts.query))["token"] if token is None else token
    connection = HTTPConnection(parts.netloc, timeout=20)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        headers = {k.lower(): v for k, v in answer.getheaders()}
        return answer.status, headers, answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def demo_run(write_run: Callable[..., Path]) -> Path:
    return write_run(error=True)


@pytest.fixture(scope="module")
def dashboard(demo_run: Path) -> Iterator[Dashboard]:
    dashboard = start_dashboard(demo_run)
    yield dashboard
    dashboard.close()


def test_everything_is_refused_without_the_token(dashboard: Dashboard) -> None:
    for path in ("/", "/status", "/image/0/0?channel=nuclei", "/_nicegui/x", "/docs"):
        for token in ("", "wrong"):
            assert get(dashboard, path, token)[0] == 401, path
    assert urlsplit(dashboard.url).hostname == "127.0.0.1"


def test_it_tells_and_draws(dashboard: Dashboard) -> None:
    status, _, body = get(dashboard, "/status")
    said = json.loads(body)
    assert status == 200
    assert said["ended"]
    assert ["state", "finished completed"] in said["told"]
    status, headers, body = get(dashboard, "/image/0/1?channel=nuclei&side=512")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert max(picture.shape[:2]) <= 512
    status, _, body = get(dashboard, "/")
    assert (status, b"FARO" in body) == (200, True)


def test_nothing_but_the_run_can_be_read(dashboard: Dashboard) -> None:
    paths = [
        "/image/0/99999?channel=nuclei",
        "/image/0/0?channel=../../run.json",
        "/image/..%2f..%2frun.json/0?channel=nuclei",
        "/_nicegui/../../../../etc/passwd",
        "/_nicegui/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/../run.json",
        "/openapi.json",
    ]
    for path in paths:
        status, _, body = get(dashboard, path)
        assert status in {404, 422}, path
        assert b"root:" not in body


def test_watch_of_an_address_tells_the_same(dashboard: Dashboard) -> None:
    told = CliRunner().invoke(app, ["watch", dashboard.url, "--plain"])
    assert told.exit_code == 0, told.output
    assert "finished completed" in told.output
    wrong = dashboard.url[:-3] + "xxx"
    refused = CliRunner().invoke(app, ["watch", wrong, "--plain"])
    assert refused.exit_code == 2
    assert "whole address" in refused.output


@pytest.mark.long
def test_a_port_that_is_taken_is_named(dashboard: Dashboard, demo_run: Path) -> None:
    port = urlsplit(dashboard.url).port or 0
    with pytest.raises(DashboardError, match=f"127.0.0.1:{port}"):
        start_dashboard(demo_run, port=port)


@pytest.mark.long
def test_it_ends_when_nobody_is_left(tmp_path: Path, demo_run: Path) -> None:
    left = start_dashboard(demo_run, linger_s=0.1)
    assert get(left, "/status")[0] == 200
    left.leave()
    assert left.process.wait(20) == 0
    # Also one whose run never came.
    vain = start_dashboard(tmp_path / "never", linger_s=0.1)
    vain.leave()
    assert vain.process.wait(20) == 0


def test_what_is_known_of_a_run(demo_run: Path) -> None:
    run = open_run(demo_run)
    live = Live(run)
    now = live.look()
    assert live.look() is now
    frames = [x for x in run.journal if x["kind"] == "frame" and x["role"] == "image"]
    fired = [x for x in run.journal if x["kind"] == "stim_confirmed"]
    newest = {x["fov"]: x["timestep"] for x in frames}
    assert {fov: p.timestep for fov, p in now.places.items()} == newest
    assert sum(sum(p.n_fired.values()) for p in now.places.values()) == len(fired)
    assert len(now.latencies) == sum(x["kind"] == "latency" for x in run.journal)
    assert next_rows(now, run.events, {}) == []
    doses = dose_rows(now, run.events, run.fov_names)
    assert sum(row["fired"] for row in doses) == len(fired) > 0
    stages = {row["stage"] for row in charts.stage_rows(now.latencies)}
    assert {"segmented", "decided", "frame to mask"} == stages - {"started"}
    assert now.errors[0].where == "FOV 1, t 2"
    assert "ValueError" in now.errors[0].traceback
    assert dict(now.lateness)[3] == 0.5
    points = charts.map_points(now, {"0": (5.0, 7.0)}, {0: "A1"}, 2e9)
    assert len(points) == len(run.fovs)
    assert points[0]["value"] == [5.0, 7.0]
    assert points[0]["name"].startswith("A1: t 4, ")
    assert points[0]["itemStyle"]["color"].lower() == charts.STALE.lower()


def test_curves_are_those_of_the_table(demo_run: Path) -> None:
    run = open_run(demo_run)
    cells, fov = run.cells, run.fovs[0]
    feature = next(n for n in curves.features_of(cells) if n.startswith("cnr"))
    single = curves.cell_curves(cells, fov, feature)
    assert [c.name for c in single] == ["1", "2"]
    assert len(curves.cell_curves(cells, fov, feature, most=1)) == 1
    for curve in single:
        rows = (cells["fov"] == fov) & (cells["track_id"] == int(curve.name))
        assert sorted(curve.values) == sorted(cells[feature][rows])
    description = run.info["description"]
    assert curves.treatment_keys(description) == ["arm"]
    means = curves.treatment_curves(cells, description, run.fovs, "arm", feature)
    for curve in means:
        fovs = [f for f in run.fovs if _arm(run.info, f) == curve.name]
        t = int(curve.timesteps[0])
        each = []
        for position in fovs:
            here = (cells["fov"] == position) & (cells["timestep"] == t)
            each.append(np.nanmean(cells[feature][here].astype(float)))
        assert curve.values[0] == pytest.approx(np.mean(each))
    series = charts.lines(means)
    assert {s["name"] for s in series} == {c.name for c in means}


def _arm(info: dict[str, Any], fov: int) -> str:
    return str(info["description"]["fov_metadata"][str(fov)]["arm"])


def test_pictures_show_what_is_asked_for(demo_run: Path) -> None:
    run = open_run(demo_run)
    pictures, fov = Pictures(run), run.fovs[0]
    fired = [x for x in run.journal if x["kind"] == "stim_confirmed"]
    shot = next(x for x in fired if x["fov"] == fov)
    plain = {"outlines": False, "ids": False, "mask": False}

    def drawn(**changes: Any) -> Any:
        options = {**plain, **changes}
        data = pictures.jpeg(Wanted(fov, shot["timestep"], run.channels[0], **options))
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        return image.astype(int)

    grey = drawn()
    assert np.abs(grey - grey[:, :, :1]).max() == 0
    for name in ("outlines", "mask"):
        assert np.abs(drawn(**{name: True}) - grey).max() > 60, name
    assert drawn(low=0, high=65535).mean() < grey.mean()


def test_numbers_are_written_where_the_cells_are() -> None:
    tracks = np.zeros((200, 300), np.int32)
    tracks[40:60, 200:220], tracks[140:160, 30:50] = 7, 123
    rgb = np.zeros((200, 300, 3), np.uint8)
    write_ids(rgb, tracks)
    rows, columns = np.nonzero(rgb.max(axis=2))
    first = rows < 100
    assert abs(np.mean(columns[first]) - 210) < 12
    assert abs(np.mean(rows[~first]) - 150) < 12
    write_ids(rgb, np.zeros((200, 300), np.int32))


@pytest.mark.long
def test_its_process_can_be_killed_and_started_again(demo_run: Path) -> None:
    for _ in range(2):
        dashboard = start_dashboard(demo_run)
        dashboard.process.kill()
        dashboard.close()
        assert isinstance(dashboard.process.returncode, int)
        with pytest.raises(OSError, match=r"."):
            get(dashboard, "/status")
