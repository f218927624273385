"""``python -m faro``: the same as the command ``faro``."""

from __future__ import annotations

from faro.cli import app

if __name__ == "__main__":
    app()
