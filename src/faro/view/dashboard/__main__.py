"""The process of the dashboard: ``python -m faro.view.dashboard``, told by stdin."""

from __future__ import annotations

import json
import socket
import sys
import threading
from contextlib import closing

from faro.view.dashboard.launch import Settings


def main() -> None:
    """Read the settings from the first line of stdin; its end says we are alone.

    The port is told at once, before the libraries are loaded: visitors wait meanwhile.
    """
    settings = Settings.model_validate_json(sys.stdin.readline())
    with closing(socket.create_server((settings.host, settings.port))) as listening:
        port = listening.getsockname()[1]
        sys.stdout.write(json.dumps({"port": port}) + "\n")
        sys.stdout.flush()
        alone = threading.Event()
        starter = threading.Thread(target=_listen, args=(alone,), daemon=True)
        starter.start()
        from faro.view.dashboard.serving import serve  # noqa: PLC0415  takes seconds

        serve(settings, listening, alone)


def _listen(alone: threading.Event) -> None:
    while sys.stdin.readline():
        pass
    alone.set()


if __name__ == "__main__":
    main()
