"""The worker's side: makes one segmenter and answers, until the loop is gone.

Requests and answers are lines of JSON over stdin and stdout; pixels and labels lie in
shared memory. Nothing is pickled. The end of stdin ends the process at once: that is
how it dies with its parent, whatever ended that. A request that takes longer than its
deadline ends it as well, even where native code holds the GIL.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import queue
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np

from faro.analysis.labels import normalise_labels
from faro.analysis.worker.memory import OpenedBlocks
from faro.analysis.worker.spec import SegmenterSpec
from faro.errors import FaroError
from faro.system import signals

if TYPE_CHECKING:
    from faro.model.frame import PixelArray
    from faro.protocols import Segmenter
    from faro.protocols.analysis import Labels

logger = logging.getLogger(__name__)

_GRACE_S = 2.0
_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname")


class NoNetworkError(FaroError, OSError):
    """A library wanted to fetch something inside a run."""


def serve() -> None:
    """Make the segmenter that the first line names, and answer the others."""
    source, sink = _private_streams()
    signals.ignore(signals.INTERRUPT)
    lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(source, lines), daemon=True)
    reader.start()
    server = _Server()
    while True:
        request = lines.get()
        faulthandler.dump_traceback_later(request["deadline_s"] + _GRACE_S, exit=True)
        answer = server.answer(request)
        faulthandler.cancel_dump_traceback_later()
        sink.write(json.dumps(answer).encode() + b"\n")


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return stdin and stdout, out of the reach of libraries that print or ask."""
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return source, sink


def _read(source: BinaryIO, lines: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Hand on every request; end the process when there will be no more."""
    for line in source:
        lines.put(json.loads(line))
    os._exit(0)


@dataclass(slots=True)
class _Server:
    """The segmenter, and the memory that it reads and writes."""

    segmenter: Segmenter | None = None
    name: str = ""
    blocks: OpenedBlocks = field(default_factory=OpenedBlocks)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return what became of a request; never raises."""
        try:
            if request["do"] == "make":
                self._make(request)
            else:
                self._segment(request)
        except FaroError as error:
            kind = type(error).__name__
            return {"failed": kind, "problem": error.problem, "remedy": error.remedy}
        except Exception as error:
            logger.exception("%s failed", self.name)
            problem = f"{self.name} raised {type(error).__name__}: {error}."
            return {"failed": "ComponentError", "problem": problem, "remedy": ""}
        return {"done": request["do"]}

    def _make(self, request: dict[str, Any]) -> None:
        self.name = request["path"]
        sys.path[:] = request["sys_path"]
        cv2.setNumThreads(request["n_threads"])
        spec = SegmenterSpec(self.name, request["parameters"])
        if not getattr(spec.target(), "needs_network", False):
            sys.addaudithook(_no_network)
        self.segmenter = spec.make()
        warm_up = getattr(self.segmenter, "warm_up", None)
        if warm_up is not None:
            warm_up(tuple(request["shape"]))

    def _segment(self, request: dict[str, Any]) -> None:
        shape = tuple(request["shape"])
        names = [request[k] for k in ("pixels", "labels", "seeds") if k in request]
        pixels = _read_only(self.blocks.array(names[0], shape, request["dtype"]))
        place: Labels = self.blocks.array(names[1], shape[-2:], "int32")  # type: ignore[assignment]  # as asked for
        seeds = [
            _read_only(self.blocks.array(name, shape[-2:], "int32"))
            for name in names[2:]
        ]
        self.blocks.keep(*names)
        segmenter: Any = self.segmenter
        labels = segmenter.segment(pixels, *seeds)
        np.copyto(place, normalise_labels(labels, (shape[-2], shape[-1]), self.name))


def _read_only(array: Any) -> PixelArray:
    array.setflags(write=False)
    pixels: PixelArray = array
    return pixels


def _no_network(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse what would fetch something; an audit hook of this process."""
    if event in _NETWORK:
        problem = f"A library wanted to reach the network in a run: {arguments[1:]}."
        remedy = "Fetch its weights before the run: faro models."
        raise NoNetworkError(problem, remedy=remedy)
