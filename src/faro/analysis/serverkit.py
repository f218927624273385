"""The protocol of imaging-server-kit 0.3, as a client with a deadline.

Its own client waits without end, and importing it fetches pictures from the network;
so the few requests that are needed are made here: parameters as JSON, pixels as a TIFF
in base64, the answer as a stream of msgpack.
"""

from __future__ import annotations

import base64
import io
import json
import time
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import numpy as np
import numpy.typing as npt

from faro.analysis.extras import imported
from faro.errors import ComponentError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHUNK = 1 << 16
_OK = 200
_SHOWN = 300
_ERROR = "__error__"


class RemoteError(ComponentError):
    """A server did not answer in time, or not with labels.

    Attributes
    ----------
    final
        Whether asking again is of no use.
    """

    def __init__(self, problem: str, *, remedy: str, final: bool = False) -> None:
        super().__init__(problem, remedy=remedy)
        self.final = final


@dataclass(frozen=True, slots=True)
class Algorithm:
    """An algorithm of a server.

    Attributes
    ----------
    url, name
        Of the server, and what it calls the algorithm.
    kinds
        Kind of each parameter.
    defaults
        Value of each parameter that has one.
    """

    url: str
    name: str
    kinds: Mapping[str, str]
    defaults: Mapping[str, Any]

    def run(self, given: Mapping[str, Any], ends_s: float) -> npt.NDArray[Any]:
        """Return the mask (Y, X) that the algorithm gives.

        Parameters
        ----------
        given
            Parameters by name; arrays are images.
        ends_s
            Deadline, by `time.monotonic`.

        Raises
        ------
        RemoteError
            If there is no such mask by then.
        """
        unknown = sorted(given.keys() - self.kinds.keys())
        if unknown:
            problem = f"{self.name} at {self.url} takes no {', '.join(unknown)}."
            remedy = f"It takes: {', '.join(self.kinds)}."
            raise RemoteError(problem, remedy=remedy, final=True)
        values = {**self.defaults, **given}
        layers = [_layer(n, kind, values.get(n)) for n, kind in self.kinds.items()]
        path = f"/{quote(self.name)}/process"
        body = json.dumps(layers).encode()
        answer = _unpacked(_requested(self.url, path, ends_s, body))
        masks = [layer["data"] for layer in answer if layer.get("kind") == "mask"]
        if len(masks) != 1 or not isinstance(masks[0], str):
            kinds = ", ".join(str(layer.get("kind")) for layer in answer) or "nothing"
            problem = f"{self.name} at {self.url} gave {kinds}, not one mask."
            raise RemoteError(problem, remedy="Use one that segments.", final=True)
        file = io.BytesIO(base64.b64decode(masks[0]))
        tifffile = imported("tifffile", extra="imaging-server")
        mask: npt.NDArray[Any] = tifffile.imread(file)
        return mask


def connect(url: str, name: str | None, ends_s: float) -> Algorithm:
    """Return what a server says of an algorithm.

    Parameters
    ----------
    url
        ``http://host:port``, or https.
    name
        Of the algorithm; None: the only one there.
    ends_s
        Deadline, by `time.monotonic`.

    Raises
    ------
    RemoteError
        If there is no such server or algorithm.
    """
    found = _told(url, "/algorithms", "algorithms", ends_s)
    if name is None and len(found) == 1:
        name = found[0]
    if name not in found:
        problem = f"The server {url} has no algorithm {name!r}."
        remedy = f"Use one of: {', '.join(found)}."
        raise RemoteError(problem, remedy=remedy, final=True)
    path = f"/{quote(str(name))}/parameters"
    said = _told(url, path, "properties", ends_s)
    kinds = {name: about["param_type"] for name, about in said.items()}
    defaults = {n: about["default"] for n, about in said.items() if "default" in about}
    return Algorithm(url.rstrip("/"), str(name), kinds, defaults)


def _told(url: str, path: str, key: str, ends_s: float) -> Any:
    """Return one value of a JSON answer."""
    answer = _requested(url, path, ends_s)
    try:
        return json.loads(answer)[key]
    except (ValueError, KeyError, TypeError) as error:
        problem = f"{url}{path} is no imaging-server-kit server: {answer[:_SHOWN]!r}."
        raise RemoteError(problem, remedy="Correct the URL.", final=True) from error


def _layer(name: str, kind: str, value: Any) -> dict[str, Any]:
    """Return a parameter as the server reads it."""
    data = value
    if isinstance(value, np.ndarray):
        file = io.BytesIO()
        imported("tifffile", extra="imaging-server").imwrite(file, value)
        data = base64.b64encode(file.getvalue()).decode()
    return {"kind": kind, "data": data, "name": name, "meta": {}, "tile_meta": None}


def _unpacked(body: bytes) -> list[dict[str, Any]]:
    """Return the layers of an answer; RemoteError where the algorithm failed."""
    msgpack = imported("msgpack", extra="imaging-server")
    unpacker = msgpack.Unpacker(raw=False, max_buffer_size=len(body) + 1)
    unpacker.feed(body)
    layers = list(unpacker)
    for layer in layers:
        if _ERROR in layer:
            said = layer[_ERROR]
            problem = f"The algorithm failed: {said['type']}: {said['message']}."
            raise RemoteError(problem, remedy="See the log of the server.")
    return layers


def _requested(url: str, path: str, ends_s: float, body: bytes | None = None) -> bytes:
    """Return the answer to GET, or to POST with a ``body``, by the deadline."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    where = parts.path.rstrip("/") + path
    headers = {"Content-Type": "application/json", "Accept": "*/*"}
    try:
        with closing(
            kind(parts.hostname or "", parts.port, timeout=_left(ends_s))
        ) as link:
            link.request("GET" if body is None else "POST", where, body, headers)
            socket = link.sock
            socket.settimeout(_left(ends_s))
            response = link.getresponse()
            pieces = bytearray()
            while True:
                socket.settimeout(_left(ends_s))
                if not (piece := response.read1(_CHUNK)):
                    break
                pieces += piece
    except (OSError, HTTPException) as error:
        problem = f"The server {url} did not answer: {error!r}."
        raise RemoteError(problem, remedy="Start it, or give a fall-back.") from error
    if response.status != _OK:
        said = bytes(pieces[:_SHOWN]).decode(errors="replace")
        problem = f"The server {url} refused: {response.status} {said}."
        raise RemoteError(problem, remedy="Correct the request.", final=True)
    return bytes(pieces)


def _left(ends_s: float) -> float:
    """Return the seconds left; TimeoutError where there are none."""
    left_s = ends_s - time.monotonic()
    if left_s <= 0:
        message = "the deadline has passed"
        raise TimeoutError(message)
    return left_s
