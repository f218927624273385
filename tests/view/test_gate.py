"""Whoever has no token sees nothing: no page, no file, no socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from faro.view.dashboard.gate import Gate

TOKEN = "s3cret-token"
Message = dict[str, Any]


async def inner(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
    """Stand in for the application: what reaches it was let through."""
    kind = "websocket.accept" if scope["type"] == "websocket" else "http.response.start"
    await send({"type": kind, "status": 200, "headers": []})


def asked(
    path: str = "/", query: str = "", kind: str = "http", **headers: str
) -> list[Message]:
    """Return what a request is answered with."""
    named = [(k.encode(), v.encode()) for k, v in {"host": "h:1", **headers}.items()]
    scope = {"type": kind, "path": path, "query_string": query.encode()}
    sent: list[Message] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    gate = Gate(inner, TOKEN, "faro-1")
    asyncio.run(gate({**scope, "headers": named}, receive, send))
    return sent


PLACES = ["/", "/image/0/0", "/status", "/_nicegui/3/static/x.js", "/../../etc/passwd"]


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {}),
        ("token=", {}),
        ("token=wrong", {}),
        (f"token={TOKEN}&token=x", {}),
        (f"token={TOKEN}x", {}),
        ("", {"cookie": "faro-1=wrong"}),
        ("", {"cookie": f"faro-2={TOKEN}"}),
        ("", {"cookie": "=;;="}),
        ("", {"authorization": f"Basic {TOKEN}"}),
        ("", {"authorization": "Bearer t\u00f6ken"}),
        ("", {"cookie": f"faro-1={TOKEN}", "origin": "http://evil.test"}),
    ],
)
def test_a_missing_or_wrong_token_is_refused(
    path: str, query: str, headers: dict[str, str]
) -> None:
    start, body = asked(path, query, **headers)
    assert start["status"] == 401
    assert TOKEN.encode() not in body["body"] + repr(start).encode()
    assert asked(path, query, "websocket", **headers) == [
        {"type": "websocket.close", "code": 1008}
    ]


def test_the_token_is_taken_out_of_the_address_and_kept_from_scripts() -> None:
    start, _ = asked("//evil.test", f"a=1&token={TOKEN}")
    headers = dict(start["headers"])
    assert start["status"] == 303
    assert headers[b"location"] == b"/evil.test?a=1"
    kept = headers[b"set-cookie"].decode()
    assert kept == f"faro-1={TOKEN}; Path=/; HttpOnly; SameSite=Strict"
    assert headers[b"referrer-policy"] == b"no-referrer"


@pytest.mark.parametrize(
    "headers",
    [
        {"cookie": f"x=1; faro-1={TOKEN}"},
        {"authorization": f"Bearer {TOKEN}"},
        {"cookie": f"faro-1={TOKEN}", "origin": "http://h:1"},
    ],
)
def test_who_has_the_token_is_let_through(headers: dict[str, str]) -> None:
    (start,) = asked("/x", **headers)
    assert start["status"] == 200
    assert (b"x-frame-options", b"DENY") in start["headers"]
    assert asked("/x", "", "websocket", **headers)[0]["type"] == "websocket.accept"
    # A token in the address alone does not open a socket.
    refused = asked("/x", f"token={TOKEN}", "websocket")
    assert refused[0]["type"] == "websocket.close"
