"""Who may speak to the page: this person's browser, from the page itself; everyone else is refused in one sentence."""

import hmac
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 2**21
"""Bytes that a request may send: a bulk action on 10,000 rows takes 1 MB."""

LOOPBACK = ("127.0.0.1", "localhost")
"""Names under which a browser on this machine finds it."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
"""Of every answer."""


@dataclass(frozen=True)
class Door:
    """What a request must know to be let in.

    Attributes:
        token: a secret, in the address that opens the page and in the cookie that it leaves behind.
        port: of the server.
        host: the interface it listens on.
    """

    token: str
    port: int
    host: str = "127.0.0.1"

    @property
    def cookie(self) -> str:
        """The cookie's name: browsers send cookies to all ports of a machine, so each server has its own."""
        return f"thresher_review_{self.port}"

    @property
    def address(self) -> str:
        """The address that opens the page."""
        host = self.host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - asked for by name; this is what a browser can open
            host = socket.gethostname()
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/?token={self.token}"

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server, so that no foreign name was bound to its address (DNS rebinding).

        A server for other machines is known by its addresses as well, for these cannot be bound to anything else.

        Example:
            >>> door = Door("secret", 8000)
            >>> [door.knows(host) for host in ("127.0.0.1:8000", "localhost:8000", "evil.example:8000", "localhost")]
            [True, True, False, False]
        """
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if parts.netloc != host or "@" in host or port != self.port:
            return False
        return name in (*LOOPBACK, self.host.lower()) or (self.host not in LOOPBACK and _is_own(name))


class Guard:
    """Lets requests through to an application that come from the page, and adds `HEADERS` to every answer.

    Args:
        app: the application.
        door: what a request must know.
    """

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app, self.door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":  # a web socket; the page has none
            raise RuntimeError(f"{scope['type']} is not served")

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        answer = self._answer(scope, Headers(scope=scope))
        await (self.app if answer is None else answer)(scope, receive, sealed)

    def _answer(self, scope: Scope, headers: Headers) -> Response | None:
        """What is said instead of letting a request in; None lets it in."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.door.knows(hosts[0]):
            return _refuse(scope, 403, "this address is not served here: open the address that the command printed")
        token = _token(scope)
        if token is not None:
            return self._admit(scope, token)
        if not _same(cookie_parser(headers.get("cookie", "")).get(self.door.cookie, ""), self.door.token):
            return _refuse(scope, 403, "open the whole address that the command printed, with its token")
        return None if scope["method"] in ("GET", "HEAD") else _check_change(scope, headers, hosts[0])

    def _admit(self, scope: Scope, token: str) -> Response:
        if not _same(token, self.door.token):
            return _refuse(
                scope, 403, "that token is not, or no longer, right: open the address that the command printed"
            )
        answer = RedirectResponse("/", 303)
        answer.set_cookie(self.door.cookie, token, httponly=True, samesite="strict", path="/")
        return answer


def _token(scope: Scope) -> str | None:
    """The token in the address of the first request, or None."""
    if scope["method"] != "GET" or scope["path"] != "/":
        return None
    try:
        found = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True, max_num_fields=8)
    except ValueError:  # a thousand fields
        return None
    return found["token"][0] if "token" in found else None


def _check_change(scope: Scope, headers: Headers, host: str) -> Response | None:
    """Refuse what a page of another origin could send, and what is too large."""
    said = headers.get("origin") or _origin(headers.get("referer", ""))
    if said != f"http://{host}":
        return _refuse(
            scope, 403, "this request does not come from the page: open the address that the command printed"
        )
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return _refuse(scope, 415, "the request is not JSON: send application/json")
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        return _refuse(scope, 411, "the request does not say how long it is: send its length")
    if len(length) > 12 or int(length) > LARGEST_BODY:
        return _refuse(scope, 413, f"the request is longer than {LARGEST_BODY:,} bytes: send fewer decisions at a time")
    return None


def _origin(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _same(given: str, token: str) -> bool:
    """Whether two texts are equal, in a time that does not tell how far they are."""
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())


def _is_own(name: str) -> bool:
    """Whether a host is an address, or what this machine calls itself."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == socket.gethostname().lower()
    return True


def _refuse(scope: Mapping, status: int, sentence: str) -> Response:
    return refusal(scope["path"], status, sentence)


def refusal(path: str, status: int, sentence: str) -> Response:
    """An error in one sentence: JSON for the page's own requests, text for people.

    Example:
        >>> refusal("/api/queue", 404, "there is no such row").body
        b'{"error":"there is no such row"}'
    """
    if path.startswith("/api/"):
        return JSONResponse({"error": sentence}, status)
    return PlainTextResponse(f"{sentence}\n", status)
