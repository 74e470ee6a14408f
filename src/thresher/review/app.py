"""The application: routes of the page, its pictures, and what it asks and tells."""

import gzip
import importlib.metadata
import json
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from thresher.errors import ThresherError, UsageError
from thresher.review import pictures
from thresher.review.asked import decisions, nothing
from thresher.review.deck import Deck
from thresher.review.pictures import Pictures
from thresher.review.security import Door, Guard, refusal
from thresher.review.session import Conflict

_STATIC = {"review.js": "text/javascript", "review.css": "text/css"}
_PACKED = 4096  # bytes from which an answer is compressed
_EXCERPTS = 200
_FOREVER = "private, max-age=31536000, immutable"
_LARGEST = 2**53  # row numbers that JavaScript can hold


def build(deck: Deck, door: Door, *, command: str = "") -> Guard:
    """The application, guarded.

    Args:
        deck: the rows of a review.
        door: what a request must know.
        command: what to type when the review is done, shown on the page.
    """
    return Guard(_App(deck, command).routes(), door)


class _App:
    """The answers.

    Args:
        deck: the rows of a review.
        command: what to type when the review is done.
    """

    def __init__(self, deck: Deck, command: str) -> None:
        self.deck, self.session = deck, deck.session
        self.pictures = Pictures(lambda row: deck.content.picture(deck.key(row)))
        self.mark = secrets.token_hex(8)  # another server may show other rows under the same addresses
        self.config = {
            **deck.facts(),
            "v": self.mark,
            "command": command,
            "decisions": str(deck.session.log.path),
            "tool": f"thresher {importlib.metadata.version('thresher')}",
            "sides": list(pictures.SIDES),
        }

    def routes(self) -> Starlette:
        """All routes; answers that read files are made in threads."""
        get: dict[str, Callable[[Request], Response]] = {
            "/": self.page,
            "/static/{name}": self.static,
            "/favicon.ico": _no_icon,
            "/api/queue": self.queue,
            "/api/card/{row:int}": self.card,
            "/api/excerpts": self.excerpts,
            "/api/since/{version:int}": self.since,
            "/api/progress": self.progress,
            "/thumb/{row:int}": self.thumb,
            "/image/{row:int}": self.image,
        }
        post = {"/api/decide": self.decide, "/api/undo": self.undo, "/api/redo": self.redo}
        return Starlette(
            routes=[
                *(Route(path, answer, methods=["GET"]) for path, answer in get.items()),
                *(Route(path, partial(_posted, answer), methods=["POST"]) for path, answer in post.items()),
            ],
            exception_handlers={HTTPException: _failed, ThresherError: _failed, Exception: _failed},
        )

    def page(self, request: Request) -> Response:
        """The page itself."""
        environment = Environment(
            loader=FunctionLoader(_own),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return HTMLResponse(environment.get_template("page.html.j2").render(config=self.config))

    def static(self, request: Request) -> Response:
        """The page's script and style."""
        name = request.path_params["name"]
        if name not in _STATIC:
            raise HTTPException(404, "there is no such file")
        return Response(_own(name), media_type=_STATIC[name])

    def queue(self, request: Request) -> Response:
        """The queue, as columns."""
        return _json(self.deck.table(), request)

    def card(self, request: Request) -> Response:
        """Everything about a row."""
        return _json(self.deck.card(self._row(request)), request)

    def excerpts(self, request: Request) -> Response:
        """A line about each of some rows."""
        said = request.query_params.get("rows", "").split(",")
        if len(said) > _EXCERPTS or not all(one.isascii() and one.isdigit() and len(one) < 16 for one in said):
            raise HTTPException(400, f"rows must be 1 to {_EXCERPTS} row numbers divided by commas")
        return _json({"excerpts": self.deck.excerpts([int(one) for one in said])}, request)

    def since(self, request: Request) -> Response:
        """What has changed since a version."""
        version = self.session.version  # before the states: what comes between is told twice, not left out
        states = self.session.since(min(request.path_params["version"], _LARGEST))
        return _json({"version": version, "states": states, "progress": self.session.progress()}, request)

    def progress(self, request: Request) -> Response:
        """How far the review is."""
        return _json(self.session.progress(), request)

    def thumb(self, request: Request) -> Response:
        """A small picture."""
        side = request.query_params.get("side", str(pictures.SIDES[0]))
        if side not in map(str, pictures.SIDES):
            raise HTTPException(400, f"side must be one of {', '.join(map(str, pictures.SIDES))}")
        return self._picture(request, int(side))

    def image(self, request: Request) -> Response:
        """A large picture."""
        return self._picture(request, pictures.LARGE)

    def decide(self, body: Any) -> Response:
        """Decide some rows, all or none."""
        asked = decisions(body)
        try:
            states = self.session.decide(asked)
        except Conflict as conflict:
            sentence = "another tab has decided some of these rows: look at them again"
            told = {"error": sentence, "conflicts": conflict.states, "version": self.session.version}
            return _json(told, None, 409)
        return self._changed({"states": states})

    def undo(self, body: Any) -> Response:
        """Take the newest decision back."""
        return self._turned(body, self.session.undo)

    def redo(self, body: Any) -> Response:
        """Let the decision stand again that was taken back last."""
        return self._turned(body, self.session.redo)

    def _turned(self, body: Any, turn: Callable[[], list[dict[str, Any]]]) -> Response:
        nothing(body)
        before = self.session.version
        states = turn()
        elsewhere = not states and self.session.version > before  # about a row that is not in today's queue
        return self._changed({"states": states, "elsewhere": elsewhere})

    def _changed(self, told: Mapping[str, Any]) -> Response:
        return _json({"version": self.session.version, **told, "progress": self.session.progress()}, None)

    def _row(self, request: Request) -> int:
        row: int = request.path_params["row"]
        if row > _LARGEST or self.deck.place(row) < 0:
            raise HTTPException(404, f"there is no row {str(row)[:20]}")
        return row

    def _picture(self, request: Request, side: int) -> Response:
        row = self._row(request)
        if self.deck.content.kind != "image":
            raise HTTPException(404, "these samples are no images")
        tag = f'"{self.mark}-{row}-{side}"'
        lasting = request.query_params.get("v") == self.mark
        headers = {"etag": tag, "cache-control": _FOREVER if lasting else "private, no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        try:
            return Response(self.pictures.get(row, side), media_type=pictures.MEDIA, headers=headers)
        except ThresherError:
            return Response(pictures.placeholder(), media_type=pictures.MEDIA, headers={"x-picture": "placeholder"})


def _no_icon(request: Request) -> Response:
    """Browsers ask for one, and call anything else an error."""
    return Response(status_code=204)


async def _posted(answer: Callable[[Any], Response], request: Request) -> Response:
    """Answer a request that has a JSON body; its length was checked at the door."""
    body = await request.body()
    try:
        said = json.loads(body, parse_constant=_not_finite)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the request is not valid JSON") from error
    return await run_in_threadpool(answer, said)


def _not_finite(name: str) -> None:
    raise ValueError(f"{name} is no number")


async def _failed(request: Request, error: Exception) -> Response:
    """Any error in one sentence; nothing about the machine for errors that nobody foresaw."""
    match error:
        case HTTPException():
            return refusal(request.url.path, error.status_code, str(error.detail))
        case UsageError():
            return refusal(request.url.path, 400, str(error))
        case ThresherError():
            return refusal(request.url.path, 500, str(error))
    return refusal(request.url.path, 500, f"the server failed ({type(error).__name__}): nothing was decided")


def _json(told: Mapping[str, Any], request: Request | None, status: int = 200) -> Response:
    """JSON, compressed where that is worth it and the browser allows it."""
    content = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    headers = {}
    if request is not None and len(content) > _PACKED and "gzip" in request.headers.get("accept-encoding", ""):
        content, headers = gzip.compress(content, 5, mtime=0), {"content-encoding": "gzip"}
    return Response(content, status, headers, "application/json")


def _own(name: str) -> str:
    """A file of the page."""
    return files("thresher.review").joinpath("static", name).read_text(encoding="utf-8")
