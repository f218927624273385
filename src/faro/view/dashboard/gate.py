"""Nothing is answered without the token: no page, no picture, no socket, no file."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping
    from typing import TypeAlias

    Scope: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Scope]]
    Send: TypeAlias = Callable[[Scope], Awaitable[None]]
    App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN: Final = "token"
POLICY_VIOLATION: Final = 1008
REFUSED: Final = b"The token is missing or wrong: open the address that was printed.\n"
ALWAYS: Final = (
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""Headers of every answer."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets requests with the token through to an application, and no others.

    The token comes in the address once; it is then kept in a cookie that scripts cannot
    read and other sites cannot send, and taken out of the address. Programs may send
    ``Authorization: Bearer TOKEN``. It is compared in constant time.

    Parameters
    ----------
    app
        An ASGI application.
    token
        The secret.
    cookie
        Name of the cookie: one for each port, for cookies do not tell ports apart.
    """

    app: App
    token: str
    cookie: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or one connection of a socket."""
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): v for name, v in scope.get("headers", ())}
        if self._is_known(headers) and _is_own_page(headers):
            if kind == "http":
                send = _with_headers(send, ALWAYS)
            await self.app(scope, receive, send)
        elif kind == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        else:
            await self._greet(scope, send)

    def _is_known(self, headers: dict[str, bytes]) -> bool:
        """Return whether a request has the token, as a cookie or a header."""
        scheme, _, given = headers.get("authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer" and self._is_token(given.decode("latin-1")):
            return True
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", b"").decode("latin-1"))
        except CookieError:
            return False
        return self.cookie in cookies and self._is_token(cookies[self.cookie].value)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    async def _greet(self, scope: Scope, send: Send) -> None:
        """Take the token from the address, or refuse."""
        asked = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
        given = [value for name, value in asked if name == TOKEN]
        if len(given) != 1 or not self._is_token(given[0]):
            await _answer(send, 401, REFUSED)
            return
        rest = urlencode([(name, value) for name, value in asked if name != TOKEN])
        place = "/" + scope["path"].lstrip("/")
        kept = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
        to = f"{place}?{rest}" if rest else place
        more = ((b"location", to.encode()), (b"set-cookie", kept.encode()))
        await _answer(send, 303, b"", more)


def _is_own_page(headers: dict[str, bytes]) -> bool:
    """Return whether a request comes from our own page, or from no page at all."""
    origin = headers.get("origin", b"").decode("latin-1")
    host = headers.get("host", b"").decode("latin-1")
    return not origin or urlsplit(origin).netloc == host


def _with_headers(send: Send, headers: Iterable[tuple[bytes, bytes]]) -> Send:
    async def sent(message: Scope) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return sent


async def _answer(
    send: Send, status: int, body: bytes, more: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    kind = (b"content-type", b"text/plain; charset=utf-8")
    headers = [kind, (b"cache-control", b"no-store"), *ALWAYS, *more]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
