"""Who may ask, and what every answer says to the browser."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cellseg_mm.serve.request_error import RequestError

CSRF_HEADER = "x-cellseg"
"""Pages of other sites cannot send it without asking, which the server never grants."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Lets only those requests through that the user's own browser or program sends.

    Args:
        app: What answers.
        host: The address that the server listens on.
        port: Its port, which tells its cookie from that of another server.
        token: What must be known to ask; None = nothing.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, token: str | None) -> None:
        self._app = app
        self._names = {"localhost", host, *(() if is_loopback(host) else own_names())}
        self._only_loopback = is_loopback(host)
        self._cookie = f"cellseg-{port}"
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        try:
            answer = self._greeting(scope)
        except RequestError as error:
            answer = JSONResponse({"error": str(error)}, error.status)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _greeting(self, scope: Scope) -> Response | None:
        """An answer to who comes with the token; None = the request goes on.

        Raises:
            RequestError: It does not.
        """
        headers = Headers(scope=scope)
        if not self._is_own_name(headers.get("host", "")):
            raise RequestError(
                403,
                "This server does not go by that name: open the address that it printed.",
            )
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and given:
            answer = RedirectResponse("/", 303)
            if self._is_token([given]):
                answer.set_cookie(self._cookie, given, httponly=True, samesite="strict")
            return answer
        if self._token is not None:
            bearer = headers.get("authorization", "").removeprefix("Bearer ")
            cookie = cookie_parser(headers.get("cookie", "")).get(self._cookie, "")
            if not self._is_token([bearer, cookie]):
                raise RequestError(
                    401, "The token is missing: open the address that the server printed."
                )
        if scope["method"] not in ("GET", "HEAD") and headers.get(CSRF_HEADER) != "1":
            raise RequestError(403, "The header X-Cellseg: 1 is missing.")
        return None

    def _is_own_name(self, host: str) -> bool:
        """Whether a Host header is ours: another site whose name leads here has its own."""
        name = _without_port(host).lower()
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # An address in the place of a name cannot be bent to lead elsewhere.
        return address.is_loopback or not self._only_loopback

    def _is_token(self, given: Iterable[str]) -> bool:
        token = self._token or ""
        return any(hmac.compare_digest(word.encode(), token.encode()) for word in given)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def own_names() -> set[str]:
    """What other machines may call this one."""
    return {socket.gethostname().lower(), socket.getfqdn().lower()}


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
