"""The dashboard in a real browser: every view shows something, every control works."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By

from faro.storage import open_run
from faro.view.dashboard.launch import start_dashboard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Chromium"),
]
WITHIN_S = 90.0
SOCKET = "?EIO=4&transport=websocket"
EXPERIMENT = """
name = "small"
[microscope]
rig = "simulated"
parameters = { seed = 4, image_shape = [128, 128] }
[sequence]
stage_positions = [{ x = 0, y = 0 }, { x = 1000, y = 0 }]
time_plan = { interval = 0.5, loops = 4000 }
channels = [{ config = "miRFP", exposure = 50 }]
stim_channels = [{ config = "CyanStim", exposure = 100, power = 10 }]
stim_frames = { start = 1, stop = 4000 }
[pipeline.stimulator]
component = "mine:Fails"
"""
MINE = """
from faro.stimulation import PercentageOfCell

class Fails(PercentageOfCell):
    def __init__(self) -> None:
        super().__init__(fraction=0.3, direction=(-1.0, 0.0))

    def stimulate(self, context):
        if context.timestep == 2:
            raise ValueError("this one is not lit")
        return super().stimulate(context)
"""


class Browser:
    """A browser with the dashboard open."""

    def __init__(self, url: str) -> None:
        options = webdriver.ChromeOptions()
        for option in ("--headless=new", "--no-sandbox", "--window-size=1400,1100"):
            options.add_argument(option)
        options.add_argument("--disable-dev-shm-usage")
        options.binary_location = CHROMIUM or ""
        service = webdriver.ChromeService(DRIVER or "")
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.get(url)

    def one(self, name: str) -> Any:
        """Return the element that is marked so, once it is there."""
        found = until(lambda: self.driver.find_elements(By.CSS_SELECTOR, f".{name}"))
        return found[0]

    def click(self, name: str) -> None:
        until(lambda: _clicked(self.one(name)))

    def text(self, name: str) -> str:
        return str(self.one(name).text)

    def shows(self, state: str) -> bool:
        """Return whether the run is in a state, as far as the page says."""
        return state in self.text("faro-state")

    def tab(self, title: str) -> None:
        self.click(f"faro-tab-{title}")

    def colours(self, name: str) -> int:
        """Return how many colours an element shows."""
        picture = Image.open(io.BytesIO(self.one(name).screenshot_as_png))
        return len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0))

    def has_series(self, name: str) -> bool:
        """Return whether a chart has curves or points."""
        script = (
            "const e = window.getElement(arguments[0]);"
            "return (e.chart.getOption().series || [])"
            ".reduce((n, s) => n + (s.data || []).length, 0)"
        )
        number = int(self.one(name).get_attribute("id").removeprefix("c"))
        return bool(self.driver.execute_script(script, number))


def _clicked(element: Any) -> bool:
    try:
        element.click()
    except WebDriverException:
        return False
    return True


def until(is_so: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
    deadline = time.monotonic() + within_s
    while True:
        try:
            found = is_so()
        except WebDriverException:
            found = None
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.2)


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, Path, subprocess.Popen[str]]]:
    """Have ``faro run --dashboard`` go on; yield address, run folder, process."""
    (folder / "mine.py").write_text(MINE, "utf-8")
    (folder / "small.toml").write_text(EXPERIMENT, "utf-8")
    command = [sys.executable, "-m", "faro", "run", "small.toml", "-o", "run"]
    command += ["--dashboard", "--no-progress"]
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said: list[str] = []
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"Dashboard: (\S+)", line):
                break
        else:
            pytest.fail("".join(said))
        yield found[1], folder / "run", process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def browse() -> Iterator[Callable[[str], Browser]]:
    opened: list[Browser] = []

    def open_at(url: str) -> Browser:
        opened.append(Browser(url))
        return opened[-1]

    yield open_at
    for browser in opened:
        browser.driver.quit()


def test_every_view_and_every_control(
    tmp_path: Path, browse: Callable[[str], Browser]
) -> None:
    with running(tmp_path) as (url, folder, process):
        browser = browse(url)
        until(lambda: "running" in browser.text("faro-state"))
        assert "token" not in browser.driver.current_url
        look_at_every_view(browser, tmp_path)
        browser.click("faro-pause")
        until(lambda: "paused" in browser.text("faro-state"))
        browser.click("faro-resume")
        until(lambda: "running" in browser.text("faro-state"))
        n_events = len(open_run(folder).events)
        browser.click("faro-extend")
        browser.click("faro-extend-yes")
        until(lambda: len(open_run(folder).events) == n_events + 20)
        browser.click("faro-dark")
        until(lambda: "switched off by hand" in browser.text("faro-state"))
        browser.click("faro-resume")
        until(lambda: "running" in browser.text("faro-state"))
        browser.click("faro-stop")
        browser.click("faro-stop-yes")
        until(lambda: "finished" in browser.text("faro-state"))
        process.communicate(timeout=60)
        assert "stopped by the user" in browser.text("faro-state")
        # The page is still there for whoever looks, and says that nobody obeys.
        browser.click("faro-pause")
        until(lambda: "takes no orders" in browser.driver.page_source)


def look_at_every_view(browser: Browser, folder: Path) -> None:
    """Have every view show something, and keep a picture of each."""
    shots = folder / "pictures"
    shots.mkdir()
    until(lambda: browser.colours("faro-image") > 50)
    first = browser.text("faro-caption")
    until(lambda: browser.text("faro-caption") != first)
    browser.driver.save_screenshot(str(shots / "image.png"))
    for switch in ("faro-outlines", "faro-ids", "faro-mask", "faro-auto"):
        browser.click(switch)
    until(lambda: "low=" in browser.one("faro-image").get_attribute("innerHTML"))
    browser.tab("cells")
    until(lambda: browser.has_series("faro-cells"))
    until(lambda: browser.has_series("faro-means"))
    browser.driver.save_screenshot(str(shots / "cells.png"))
    browser.tab("map")
    until(lambda: browser.has_series("faro-map"))
    browser.driver.save_screenshot(str(shots / "map.png"))
    browser.tab("timeline")
    until(lambda: "Will be done at" in browser.text("faro-eta"))
    until(lambda: "CyanStim" in browser.text("faro-next"))
    until(lambda: browser.has_series("faro-lateness"))
    browser.driver.save_screenshot(str(shots / "timeline.png"))
    browser.tab("latency")
    until(lambda: "segmented" in browser.text("faro-stages"))
    until(lambda: browser.has_series("faro-latency"))
    browser.driver.save_screenshot(str(shots / "latency.png"))
    browser.tab("light")
    until(lambda: "CyanStim" in browser.text("faro-dose"))
    browser.driver.save_screenshot(str(shots / "light.png"))
    browser.tab("errors")
    until(lambda: "this one is not lit" in browser.text("faro-errors"))
    browser.one("faro-errors").find_element(By.CSS_SELECTOR, ".q-item").click()
    until(lambda: "Traceback" in browser.text("faro-errors"))
    browser.driver.save_screenshot(str(shots / "errors.png"))
    browser.tab("image")


def test_a_browser_without_the_token_sees_nothing(
    write_run: Callable[..., Path], browse: Callable[[str], Browser]
) -> None:
    dashboard = start_dashboard(write_run())
    try:
        place = f"http://{urlsplit(dashboard.url).netloc}/"
        browser = browse(place)
        for url in (place, f"{place}?token=wrong"):
            browser.driver.get(url)
            assert "token is missing or wrong" in browser.driver.page_source
            assert "dish" not in browser.driver.page_source
        browser.driver.get(dashboard.url)
        until(lambda: "finished" in browser.text("faro-state"))
        # A socket of another site is refused, even in a browser that has the cookie.
        browser.driver.get("about:blank")
        refused = browser.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "const s = new WebSocket(arguments[0]);"
            "s.onopen = () => done('open'); s.onerror = () => done('refused');",
            place.replace("http", "ws")
            + "_nicegui_ws/socket.io/?EIO=4&transport=websocket",
        )
        assert refused == "refused"
    finally:
        dashboard.close()


def test_viewers_come_go_and_are_killed_and_the_run_does_not_mind(
    tmp_path: Path, browse: Callable[[str], Browser]
) -> None:
    with running(tmp_path) as (url, folder, process):
        until(lambda: (folder / "journal.jsonl").exists())
        for turn in range(3):
            browser = browse(url)
            until(partial(browser.shows, "running"))
            if turn == 1:
                browser.driver.service.process.kill()
            else:
                browser.driver.quit()
        assert process.poll() is None
        n_before = len(open_run(folder).journal)
        until(lambda: len(open_run(folder).journal) > n_before)
        assert not [x for x in open_run(folder).journal if x["kind"] == "hardware_lost"]
