"""Who is let in: every way in which something else than the page could speak to the server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.review.tables import ORIGIN, PORT, TOKEN, client, review

from thresher.review.opening import Review
from thresher.review.security import HEADERS, LARGEST_BODY, Door

ROUTES = (
    *("/", "/static/review.js", "/api/queue", "/api/card/0", "/api/excerpts?rows=0", "/api/since/0", "/api/progress"),
    *("/thumb/0", "/image/0", "/nothing", "/api/decide"),
)
KEEP = {"decisions": [{"row": 0, "action": "keep", "seen": 0}]}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Review]:
    """Nothing is decided here: every request that tries is refused."""
    with review(tmp_path_factory.mktemp("review")) as opened:
        yield opened
        assert opened.session.version == 0


@pytest.fixture
def page(found: Review) -> TestClient:
    return client(found)


@pytest.fixture
def stranger(found: Review) -> TestClient:
    return client(found, cookie=False)


def test_token_becomes_a_cookie(stranger: TestClient) -> None:
    answer = stranger.get(f"/?token={TOKEN}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    for word in ("httponly", "samesite=strict", "path=/", f"thresher_review_{PORT}="):
        assert word in cookie
    assert "domain" not in cookie
    assert stranger.get("/").status_code == 200


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "ä", "%ff", f"wrong&token={TOKEN}"])
def test_wrong_token(stranger: TestClient, token: str) -> None:
    answer = stranger.get(f"/?token={token}", follow_redirects=False)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert TOKEN not in answer.text


def test_a_query_of_many_fields(stranger: TestClient) -> None:
    assert stranger.get("/?" + "&".join(f"a{n}=1" for n in range(50))).status_code == 403


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("cookie", [None, "wrong", TOKEN[:-1], "ä"])
def test_no_cookie(stranger: TestClient, route: str, cookie: str | None) -> None:
    headers = {} if cookie is None else {"cookie": f"thresher_review_{PORT}={cookie}".encode()}
    answer = stranger.get(route, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 403
    assert "open the whole address that the command printed" in answer.text
    assert answer.text.count("\n") <= 1
    assert stranger.post("/api/decide", json=KEEP, headers=headers).status_code == 403  # type: ignore[arg-type]


def test_the_cookie_of_another_port(stranger: TestClient) -> None:
    assert stranger.get("/", headers={"cookie": f"thresher_review_1={TOKEN}"}).status_code == 403


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"localhost.evil.example:{PORT}",
        f"127.0.0.1:{PORT}@evil.example",
        f"evil@127.0.0.1:{PORT}",
        f"[::1]:{PORT}",
        f"192.168.1.9:{PORT}",
        f"127.0.0.1:{PORT}/x",
        "127.0.0.1:port",
        "[",
        "",
    ],
)
def test_foreign_host(page: TestClient, host: str) -> None:
    for answer in (
        page.get("/api/queue", headers={"host": host}),
        page.get(f"/?token={TOKEN}", headers={"host": host}),
    ):
        assert answer.status_code == 403
        assert "this address is not served here" in answer.text


def test_localhost(tmp_path: Path) -> None:
    with review(tmp_path) as opened:
        check_localhost(client(opened))


def check_localhost(page: TestClient) -> None:
    own = f"localhost:{PORT}"
    assert page.get("/api/queue", headers={"host": own}).status_code == 200
    assert page.post("/api/decide", json=KEEP, headers={"host": own}).status_code == 403  # from another origin
    assert page.post("/api/decide", json=KEEP, headers={"host": own, "origin": f"http://{own}"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"https://127.0.0.1:{PORT}"},
        {"origin": "http://127.0.0.1"},
        {"origin": f"{ORIGIN}.evil.example"},
        {"origin": f"{ORIGIN}/"},
        {"origin": ""},
        {"origin": "", "referer": "https://evil.example/"},
        {"origin": "", "referer": f"{ORIGIN}@evil.example/"},
        {"origin": "https://evil.example", "referer": f"{ORIGIN}/"},
    ],
)
@pytest.mark.parametrize("route", ["/api/decide", "/api/undo"])
def test_foreign_origin(found: Review, page: TestClient, headers: dict[str, str], route: str) -> None:
    answer = page.post(route, json=KEEP, headers=headers)
    assert (answer.status_code, found.session.version) == (403, 0)
    assert "does not come from the page" in answer.json()["error"]


def test_referer_will_do(page: TestClient) -> None:
    assert page.post("/api/undo", json={}, headers={"origin": "", "referer": f"{ORIGIN}/"}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
def test_other_content(found: Review, page: TestClient, kind: str) -> None:
    answer = page.post("/api/undo", content="{}", headers={"content-type": kind})
    assert (answer.status_code, found.session.version) == (415, 0)
    assert (
        page.post("/api/undo", content="{}", headers={"content-type": "Application/JSON; charset=utf-8"}).status_code
        == 200
    )


def test_large_bodies(found: Review, page: TestClient) -> None:
    json = {"content-type": "application/json"}
    assert page.post("/api/decide", content=b" " * (LARGEST_BODY + 1), headers=json).status_code == 413
    assert page.post("/api/decide", content=b" " * LARGEST_BODY, headers=json).status_code == 400
    for length in ("99999999999999999999", "-1", "1e3", "٣"):
        headers: dict[str, Any] = {**json, "content-length": length.encode()}
        assert page.post("/api/decide", content=b"{}", headers=headers).status_code in (411, 413)
    assert (
        page.post("/api/decide", content=iter([b"{}"]), headers=json).status_code == 411
    )  # in chunks, without a length
    assert found.session.version == 0


@pytest.mark.parametrize("route", ROUTES)
def test_headers_of_every_answer(page: TestClient, stranger: TestClient, route: str) -> None:
    for answer in (
        page.get(route),
        stranger.get(route),
        page.post(route, json={}),
        page.get(route, headers={"host": "x"}),
    ):
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
        assert "server" not in answer.headers
        if not route.startswith(("/thumb", "/image")):
            assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods(page: TestClient, stranger: TestClient, method: str) -> None:
    assert stranger.request(method, "/api/queue").status_code == 403
    assert page.request(method, "/api/queue").status_code >= 400
    assert "access-control-allow-origin" not in page.request(method, "/api/queue").headers


@pytest.mark.parametrize(
    ("route", "method"), [("/api/decide", "GET"), ("/api/undo", "GET"), ("/api/queue", "POST"), ("/", "POST")]
)
def test_wrong_method(found: Review, page: TestClient, route: str, method: str) -> None:
    answer = page.request(method, route, json={} if method == "POST" else None)
    assert (answer.status_code, found.session.version) == (405, 0)


def test_other_interfaces() -> None:
    local, other = Door("t", 80), Door("t", 8000, "0.0.0.0")  # noqa: S104
    assert local.knows("localhost")
    assert not local.knows("10.0.0.1")
    for host, known in {
        "10.0.0.1:8000": True, "[fe80::1]:8000": True, "localhost:8000": True, "evil.example:8000": False,
        "10.0.0.1": False, "1.2.3:8000": False,
    }.items():  # fmt: skip
        assert other.knows(host) is known, host
    assert Door("t", 8000, "my.host").knows("my.host:8000")
    assert Door("t", 8000, "::1").address == "http://[::1]:8000/?token=t"
    assert "0.0.0.0" not in other.address  # noqa: S104


def test_web_sockets(page: TestClient) -> None:
    with pytest.raises(RuntimeError, match="websocket is not served"), page.websocket_connect("/"):
        pass
