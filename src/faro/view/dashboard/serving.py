"""Serve one run over HTTP: the page, its pictures, its status."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import cv2
import uvicorn
from fastapi import FastAPI, HTTPException, Response
from nicegui import Client, ui

from faro.errors import FaroError
from faro.storage import open_run
from faro.system.priority import lower_priority
from faro.view.dashboard.drawing import Pictures, Wanted
from faro.view.dashboard.gate import Gate
from faro.view.dashboard.live import Live
from faro.view.dashboard.page import build_page
from faro.view.dashboard.told import told
from faro.view.dashboard.views import now_wall_s

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from faro.storage import Run
    from faro.view.dashboard.launch import Settings

LOOK_S: Final = 0.2


def application(run: Run, live: Live, gate: Callable[[FastAPI], Gate]) -> Gate:
    """Return the application: page, pictures, status; all behind the gate."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    pictures = Pictures(run)

    @app.get("/image/{fov}/{timestep}")
    def image(  # noqa: PLR0913  the query of the address
        fov: int,
        timestep: int,
        channel: str,
        low: int | None = None,
        high: int | None = None,
        side: int = 1024,
        *,
        outlines: bool = True,
        ids: bool = True,
        mask: bool = True,
        rev: int = 0,
    ) -> Response:
        drawn = (max(16, side), outlines, ids, mask, rev)
        wanted = Wanted(fov, timestep, channel, low, high, *drawn)
        try:
            data = pictures.jpeg(wanted)
        except (FaroError, OSError) as error:
            raise HTTPException(404, str(error)) from error
        headers = {"cache-control": "private, max-age=3600"}
        return Response(data, media_type="image/jpeg", headers=headers)

    @app.get("/status")
    def status() -> dict[str, Any]:
        now = live.now
        words = told(now.status, now.plan, now.free_bytes, now_wall_s())
        return {"told": list(words), "ended": now.status.ended}

    @ui.page("/")
    def page() -> None:
        build_page(live, pictures)

    ui.run_with(app, title=f"FARO: {run.path.name}", show_welcome_message=False)
    return gate(app)


def wait_for_run(settings: Settings, alone: threading.Event) -> Run | None:
    """Return the run once it is there, None if nobody is left to begin it."""
    while True:
        try:
            return open_run(settings.folder)
        except (FaroError, OSError):
            if alone.wait(LOOK_S):
                return None


def serve(settings: Settings, listening: socket.socket, alone: threading.Event) -> None:
    """Serve the run until nobody is left who looks.

    Parameters
    ----------
    listening
        Where visitors come.
    alone
        Set when the process that started this one is gone.
    """
    lower_priority()
    cv2.setNumThreads(1)
    run = wait_for_run(settings, alone)
    if run is None:
        return
    live = Live(run)
    live.look()
    live.start()
    cookie = f"faro-{listening.getsockname()[1]}"
    app = application(run, live, lambda inner: Gate(inner, settings.token, cookie))
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    args = (server, alone, settings.linger_s)
    threading.Thread(target=end_when_left, args=args, daemon=True).start()
    asyncio.run(server.serve(sockets=[listening]))
    live.close()


def end_when_left(
    server: uvicorn.Server, alone: threading.Event, linger_s: float
) -> None:
    """End the server when its starter is gone and no page was open for a while."""
    alone.wait()
    left_s = time.monotonic()
    while time.monotonic() < left_s + linger_s:
        if any(
            client.has_socket_connection for client in list(Client.instances.values())
        ):
            left_s = time.monotonic()
        time.sleep(LOOK_S)
    server.should_exit = True
