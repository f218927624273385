"""What a worker process runs: ``python -m faro.analysis.worker``."""

from __future__ import annotations

from faro.analysis.worker.serving import serve

if __name__ == "__main__":
    serve()
