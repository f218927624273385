"""One file over HTTP: whole, checked, tried again; never half of one in its place."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from faro.errors import FaroError

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPMessage
    from pathlib import Path
    from typing import IO

_BLOCK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LINKED = "X-Linked-ETag"
_PARTIAL, _NO_SUCH_RANGE = 206, 416
_ONLY_ONCE = frozenset(range(400, 500)) - {408, 429, _NO_SUCH_RANGE}
"""What a server answers that it will answer again."""


class DownloadError(FaroError, OSError):
    """A file could not be fetched; nothing was put in its place.

    >>> raise DownloadError("It broke off.", remedy="Try again later.")
    Traceback (most recent call last):
    faro.analysis.learned.download.DownloadError: It broke off. Try again later.
    """

    __str__ = Exception.__str__


@dataclass(frozen=True, slots=True)
class Download:
    """How a file is fetched.

    Attributes
    ----------
    n_tries
        Requests at most; one that follows goes on where the last broke off, if the
        server still has the same file.
    wait_s
        Before the second request, twice as long before each that follows.
    timeout_s
        How long the server may be silent.
    on_progress
        Called with the bytes that are here, and how many there are, 0 where unknown.
    """

    n_tries: int = 5
    wait_s: float = 1.0
    timeout_s: float = 30.0
    on_progress: Callable[[int, int], None] | None = None

    def fetch(self, url: str, place: Path, sha256: str = "") -> str:
        """Fetch ``url`` to ``place``; return its SHA-256.

        The file lies beside its place as ``.part`` until it is whole and its hash is
        the one that is expected: ``sha256``, or what the server tells of a large file
        (``X-Linked-ETag``, as Hugging Face does).

        Raises
        ------
        DownloadError
            If it cannot be had, is not what was expected, or is not offered.
        """
        if not url.startswith(("https://", "http://")):
            problem = f"{url!r} is no address of a file."
            remedy = "Give an address that begins with https:// or http://."
            raise DownloadError(problem, remedy=remedy)
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f"{place.name}.part")
        part.unlink(missing_ok=True)
        try:
            found = self._tried(url, part, sha256.lower())
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)
        return found

    def _tried(self, url: str, part: Path, expected: str) -> str:
        """Return the SHA-256 of the whole file, which lies in ``part``."""
        told: dict[str, str] = {}
        said = ""
        for number in range(self.n_tries):
            if number:
                time.sleep(self.wait_s * 2 ** (number - 1))
            try:
                self._go_on(url, part, told)
            except HTTPError as error:
                error.close()
                said = f"the server says {error.code} {error.reason}"
                if error.code in _ONLY_ONCE:
                    break
                if error.code == _NO_SUCH_RANGE:
                    told.clear()
                continue
            except (OSError, HTTPException) as error:
                said = f"{type(error).__name__}: {error}"
                continue
            found, wanted = _sha256(part), expected or told.get("sha256", "")
            if wanted in ("", found):
                return found
            said = f"its SHA-256 is {found}, not {wanted}"
            told.pop("etag", None)
        problem = f"{url} could not be fetched: {said}."
        remedy = "Check the address and the network, or copy the file there yourself."
        raise DownloadError(problem, remedy=remedy)

    def _go_on(self, url: str, part: Path, told: dict[str, str]) -> None:
        """Fetch what is missing of a file, from its start if it is another one."""
        begun = part.stat().st_size if part.exists() and "etag" in told else 0
        request = Request(url, headers={"User-Agent": "faro"})
        if begun:
            request.add_header("Range", f"bytes={begun}-")
            request.add_header("If-Range", told["etag"])
        linked = _Linked()
        with build_opener(linked).open(request, timeout=self.timeout_s) as answer:
            begun = begun if answer.status == _PARTIAL else 0
            told.clear()
            etag = answer.headers.get("ETag", "")
            told |= {"etag": etag} if etag.startswith('"') else {}
            digest = (linked.etag or answer.headers.get(_LINKED, "")).strip('"')
            told |= {"sha256": digest} if _SHA256.fullmatch(digest) else {}
            length = answer.headers.get("Content-Length")
            size = 0 if length is None else begun + int(length)
            with part.open("ab" if begun else "wb") as file:
                here = self._copied(answer, file, begun, size)
        if length is not None and here != size:
            message = f"it ended after {here} of {size} bytes"
            raise ConnectionError(message)

    def _copied(self, answer: Any, file: IO[bytes], here: int, size: int) -> int:
        """Copy what comes; return how many bytes are here then."""
        while block := answer.read(_BLOCK):
            file.write(block)
            here += len(block)
            if self.on_progress is not None:
                self.on_progress(here, size)
        return here


class _Linked(HTTPRedirectHandler):
    """Follows the server elsewhere, and keeps what it told of the file before."""

    etag = ""

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        """Return the next request."""
        self.etag = headers.get(_LINKED, self.etag)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
