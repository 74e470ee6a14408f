"""What the page asks and is told, and that nothing which is sent or shown does harm."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.review.tables import client, issues, review

from thresher.decisions import decide as decided
from thresher.errors import ThresherError
from thresher.review.opening import Review

BARE = "keys and labels only"


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Review]:
    with review(tmp_path) as opened:
        yield opened


@pytest.fixture
def page(found: Review) -> TestClient:
    return client(found)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A page for requests that decide nothing."""
    with review(tmp_path_factory.mktemp("review")) as opened:
        yield client(opened)
        assert opened.session.version == 0


def decide(page: TestClient, *asked: dict[str, Any]) -> Any:
    return page.post("/api/decide", json={"decisions": list(asked)})


def one(row: int, action: str, seen: int = 0, **rest: Any) -> dict[str, Any]:
    return {"row": row, "action": action, "seen": seen, **rest}


def test_queue(page: TestClient) -> None:
    told = page.get("/api/queue").json()
    columns = told.pop("columns")
    progress = told.pop("progress")
    assert told == {
        "version": 0,
        "name": "issues.csv",
        "kind": "image",
        "annotator": "ann",
        "blind": False,
        "hide_suggestion": False,
        "classes": ["cat", "dog", "eel"],
        "reasons": ["", "elr", "elr, loss"],
        "kinds": ["", "wrong", "ambiguous", "outlier", "duplicate"],
    }
    assert columns["row"] == [0, 10, 20, 30, 40, 50]
    assert columns["key"][1] == "dog/1.png"
    assert (columns["given"][:3], columns["suggested"][:3]) == ([0, 1, 2], [1, 2, 0])
    assert columns["p_wrong"][:2] == [0.95, 0.8682]
    assert (columns["reason"], columns["kind"][0]) == ([2, 2, 2, 1, 1, 1], 1)
    assert (columns["audit"], columns["state"], columns["label"], columns["seen"]) == (
        [0] * 6,
        [None] * 6,
        [-1] * 6,
        [0] * 6,
    )
    assert progress["total"] == 6
    assert progress["decided"] == 0


def test_compressed(tmp_path: Path) -> None:
    with review(tmp_path, issues(400, 300), BARE, data=None) as found:
        raw = client(found).get("/api/queue", headers={"accept-encoding": "gzip"})
        assert raw.headers["content-encoding"] == "gzip"
        plain = client(found).get("/api/queue", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert raw.json() == plain.json()
        assert len(gzip.compress(plain.content)) < len(plain.content)


def test_keys_that_are_row_numbers_are_left_out(tmp_path: Path) -> None:
    table = issues().assign(key=lambda t: t["row"].astype(str), duplicate_of="")
    with review(tmp_path, table, BARE, data=None) as found:
        assert client(found).get("/api/queue").json()["columns"]["key"] is None


def test_card(page: TestClient) -> None:
    decide(page, one(10, "keep"))
    card = page.get("/api/card/10").json()
    (told,) = card.pop("history")
    assert (told["action"], told["annotator"], told["label"]) == ("keep", "ann", "dog")
    assert card == {
        "row": 10,
        "key": "dog/1.png",
        "kind": "image",
        "given": 1,
        "suggested": 2,
        "p_suggested": 0.8636,
        "p_wrong": 0.8682,
        "reasons": ["elr expects 'eel' (p 0.90)", "a second doubt"],
        "probabilities": [],
        "duplicate_of": {"row": 30, "given": 0},
        "text": None,
        "fields": None,
        "neighbours": [],
        "exemplars": {"given": [100, 70], "suggested": [110, 80]},
        "excerpts": {},
    }


def test_card_of_a_row_outside_the_queue(page: TestClient) -> None:
    card = page.get("/api/card/110").json()
    assert (card["given"], card["suggested"], card["history"]) == (2, 2, [])


ROWS = ["5", "-1", "120", "99999999999999999999999", "1e1", "10.0", "%2e%2e", "..%2f..%2fetc%2fpasswd", "NaN", ""]


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("route", ["/api/card", "/thumb", "/image"])
def test_rows_that_are_not_there(untouched: TestClient, route: str, row: str) -> None:
    answer = untouched.get(f"{route}/{row}")
    assert answer.status_code == 404
    assert "passwd" not in answer.text
    if route == "/api/card":
        assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    "name", ["page.html.j2", "../app.py", "..%2fapp.py", "%2e%2e/app.py", "review.js/..", "/etc/passwd", "nothing"]
)
def test_files_that_are_not_served(untouched: TestClient, name: str) -> None:
    answer = untouched.get(f"/static/{name}")
    assert answer.status_code == 404
    assert "import" not in answer.text


def test_page_and_its_files(page: TestClient) -> None:
    answer = page.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    (config,) = re.findall(r'<script type="application/json" id="config">(.*?)</script>', answer.text)
    told = json.loads(config)
    assert (told["annotator"], told["command"]) == ("ann", "thresher correct issues.csv")
    for name, kind in {"review.js": "text/javascript", "review.css": "text/css"}.items():
        assert page.get(f"/static/{name}").headers["content-type"].startswith(kind)


def test_no_icon(page: TestClient) -> None:
    answer = page.get("/favicon.ico")
    assert (answer.status_code, answer.content) == (204, b"")


def test_excerpts_are_of_words(page: TestClient) -> None:
    assert page.get("/api/excerpts?rows=0,10").json() == {"excerpts": {}}


@pytest.mark.parametrize("rows", ["", "a", "1,,2", "-1", "1e3", "٣", "9" * 20, ",".join(["1"] * 201)])
def test_excerpts_of_nonsense(untouched: TestClient, rows: str) -> None:
    answer = untouched.get("/api/excerpts", params={"rows": rows})
    assert answer.status_code == 400
    assert "row numbers divided by commas" in answer.json()["error"]


# Decisions


@pytest.mark.parametrize(
    ("asked", "state", "label", "stored"),
    [
        ({"action": "accept"}, "accept", 1, "dog"),
        ({"action": "accept", "label": 1}, "accept", 1, "dog"),
        ({"action": "keep"}, "keep", 0, "cat"),
        ({"action": "keep", "label": 0}, "keep", 0, "cat"),
        ({"action": "relabel", "label": 2}, "relabel", 2, "eel"),
        ({"action": "relabel", "label": 0}, "keep", 0, "cat"),
        ({"action": "skip", "label": None}, "skip", -1, None),
        ({"action": "ambiguous"}, "ambiguous", -1, None),
        ({"action": "ambiguous", "labels": [0, 2]}, "ambiguous", -1, None),
        ({"action": "none_of_these"}, "none_of_these", -1, None),
        ({"action": "bad", "labels": []}, "bad", -1, None),
    ],
)
def test_every_action(
    found: Review, page: TestClient, asked: dict[str, Any], state: str, label: int, stored: str
) -> None:
    told = decide(page, {"row": 0, "seen": 0, **asked}).json()
    assert told["states"] == [{"row": 0, "state": state, "label": label, "seen": 1}]
    assert told["version"] == 1
    (record,) = found.log.state.records
    assert (record.key, record.action, record.label, record.given, record.row) == ("cat/0.png", state, stored, "cat", 0)
    assert record.labels == (("cat", "eel") if asked.get("labels") else ())
    assert (record.suggested, record.p_wrong, record.audit, record.annotator) == ("dog", 0.95, False, "ann")
    columns = page.get("/api/queue").json()["columns"]
    assert (columns["state"][0], columns["label"][0], columns["seen"][0]) == (state, label, 1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "must be"),
        ({}, "must be"),
        (None, "must be"),
        ({"decisions": {}}, "must be"),
        ({"decisions": [], "more": 1}, "must be"),
        ({"decisions": []}, "send 1 to 10,000"),
        ({"decisions": [one(0, "keep")] * 10_001}, "send 1 to 10,000"),
        ({"decisions": [one(0, "keep")] * 2}, "a row is there twice"),
        ({"decisions": ["keep"]}, "decision 0 must have row, action and seen"),
        ({"decisions": [{"row": 0, "action": "keep"}]}, "decision 0 must have"),
        ({"decisions": [one(0, "keep", key="x")]}, "decision 0 must have"),
        ({"decisions": [one(10, "keep"), one(True, "keep")]}, "row of decision 1 must be a whole number"),
        ({"decisions": [one(0.0, "keep")]}, "row of decision 0"),  # type: ignore[arg-type]
        ({"decisions": [one(10**400, "keep")]}, "row of decision 0"),
        ({"decisions": [one(0, "keep", "0")]}, "seen of decision 0"),  # type: ignore[arg-type]
        ({"decisions": [one(0, "relabel", label="dog")]}, "label of decision 0"),
        ({"decisions": [one(0, "ambiguous", labels="dog")]}, "labels of decision 0"),
        ({"decisions": [one(0, "ambiguous", labels=[0, None])]}, "labels of decision 0"),
        ({"decisions": [one(0, 7)]}, "action of decision 0"),  # type: ignore[arg-type]
        ({"decisions": [one(0, "undo")]}, "there is no action 'undo'"),
        ({"decisions": [one(0, "<script>")]}, "there is no action"),
        ({"decisions": [one(60, "keep")]}, "row 60 is not in the queue"),
        ({"decisions": [one(7, "keep")]}, "row 7 is not in the queue"),
        ({"decisions": [one(0, "relabel")]}, "without a label"),
        ({"decisions": [one(0, "relabel", label=3)]}, "classes go from 0 to 2"),
        ({"decisions": [one(0, "relabel", label=-1)]}, "classes go from 0 to 2"),
        ({"decisions": [one(0, "accept", label=2)]}, "does not go with accept"),
        ({"decisions": [one(0, "keep", label=1)]}, "does not go with keep"),
        ({"decisions": [one(0, "bad", label=1)]}, "does not go with bad"),
        ({"decisions": [one(0, "ambiguous", labels=[1])]}, "two or more"),
        ({"decisions": [one(0, "ambiguous", labels=[1, 1, 2])]}, "two or more"),
        ({"decisions": [one(0, "keep", labels=[0, 1])]}, "ambiguous takes two or more"),
        ({"decisions": [one(0, "ambiguous", labels=[0, 9])]}, "classes go from 0 to 2"),
    ],
)
def test_nonsense_decides_nothing(untouched: TestClient, body: Any, said: str) -> None:
    answer = untouched.post("/api/decide", content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b'{"decisions":[{"row":NaN,"action":"keep","seen":0}]}',
        b'{"decisions":[{"row":0,"action":"keep","seen":Infinity}]}',
        b'{"decisions":[{"row":-Infinity,"action":"keep","seen":0}]}',
        b'{"decisions":[{"row":1e999,"action":"keep","seen":0}]}',
        b"[" * 100_000,
        b'{"decisions":[{"row":' + b"9" * 10_000 + b',"action":"keep","seen":0}]}',
    ],
)
@pytest.mark.parametrize("route", ["/api/decide", "/api/undo", "/api/redo"])
def test_broken_json(untouched: TestClient, content: bytes, route: str) -> None:
    answer = untouched.post(route, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}


def test_all_or_nothing(found: Review, page: TestClient) -> None:
    assert decide(page, one(0, "keep"), one(10, "relabel")).status_code == 400
    assert decide(page, one(0, "keep"), one(10, "keep", seen=1)).status_code == 409
    assert found.session.version == 0
    told = decide(page, one(0, "keep"), one(20, "accept")).json()
    assert [state["row"] for state in told["states"]] == [0, 20]
    assert (told["version"], told["progress"]["decided"], told["progress"]["accepted"]) == (2, 2, 1)


def test_two_tabs(page: TestClient) -> None:
    assert decide(page, one(0, "keep")).status_code == 200
    late = decide(page, one(0, "accept"), one(10, "accept"))
    assert late.status_code == 409
    told = late.json()
    assert told["conflicts"] == [{"row": 0, "state": "keep", "label": 0, "seen": 1, "annotator": "ann"}]
    assert (told["version"], "another tab" in told["error"]) == (1, True)
    assert decide(page, one(0, "accept", seen=1)).json()["states"][0]["seen"] == 2
    told = page.get("/api/since/1").json()
    assert (told["version"], told["states"]) == (2, [{"row": 0, "state": "accept", "label": 1, "seen": 2}])
    assert page.get("/api/since/2").json()["states"] == []
    assert page.get("/api/since/999999999999999999999").json()["states"] == []


def test_undo_of_requests(page: TestClient) -> None:
    decide(page, one(0, "keep"))
    decide(page, *(one(row, "accept") for row in (10, 20, 30)))
    decide(page, one(0, "bad", seen=1))
    told = page.post("/api/undo", json={}).json()
    assert told["states"][0] == {"row": 0, "state": "keep", "label": 0, "seen": 3}
    told = page.post("/api/undo", json={}).json()
    assert [state["row"] for state in told["states"]] == [10, 20, 30]
    assert all(state["state"] is None for state in told["states"])
    assert told["progress"]["decided"] == 1
    assert page.post("/api/undo", json={}).json()["states"][0]["state"] is None
    told = page.post("/api/undo", json={}).json()
    assert (told["states"], told["progress"]["decided"]) == ([], 0)
    assert page.post("/api/undo", json={"count": 2}).status_code == 400
    assert page.post("/api/redo", json={}).json()["states"][0]["state"] == "keep"
    told = page.post("/api/redo", json={}).json()
    assert [(state["row"], state["state"]) for state in told["states"]] == [(row, "accept") for row in (10, 20, 30)]
    decide(page, one(40, "keep"))  # from here on there is nothing to redo
    told = page.post("/api/redo", json={}).json()
    assert (told["states"], told["elsewhere"], told["progress"]["decided"]) == ([], False, 5)


def test_undo_of_a_row_that_is_not_in_the_queue(tmp_path: Path) -> None:
    with review(tmp_path) as found:
        found.log.append(decided("elsewhere/1.png", "keep", given="cat", annotator="ann"))
        page = client(found)
        told = page.post("/api/undo", json={}).json()
        assert (told["states"], told["elsewhere"]) == ([], True)
        told = page.post("/api/undo", json={}).json()
        assert (told["states"], told["elsewhere"]) == ([], False)


def test_another_start_goes_on(tmp_path: Path) -> None:
    with review(tmp_path) as found:
        decide(client(found), one(0, "keep"), one(10, "accept"))
        decide(client(found), one(20, "skip"))
    with review(tmp_path) as found:
        columns = client(found).get("/api/queue").json()["columns"]
        assert columns["state"][:4] == ["keep", "accept", "skip", None]
        assert columns["seen"][:4] == [1, 1, 1, 0]
        client(found).post("/api/undo", json={})
        told = client(found).post("/api/undo", json={}).json()
        assert [state["row"] for state in told["states"]] == [0, 10]
    with review(tmp_path) as found:
        assert client(found).get("/api/queue").json()["columns"]["seen"][:3] == [2, 2, 2]


def test_people_do_not_see_one_another(tmp_path: Path) -> None:
    with review(tmp_path) as found:
        decide(client(found), one(0, "keep"))
    with review(tmp_path, annotator="bob") as found:
        page = client(found)
        told = page.get("/api/queue").json()
        assert (told["columns"]["state"][0], told["columns"]["seen"][0]) == (None, 1)
        assert page.get("/api/card/0").json()["history"] == []
        assert page.post("/api/undo", json={}).json()["states"] == []
        decide(page, one(0, "accept", seen=1))
        assert found.log.state.of("cat/0.png")["ann"].action == "keep"


def test_a_file_that_cannot_be_written(found: Review, page: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*records: object) -> None:
        raise ThresherError("no space is left on the device: free some")

    monkeypatch.setattr(found.log, "append", fail)
    answer = decide(page, one(0, "keep"))
    assert (answer.status_code, answer.json()) == (500, {"error": "no space is left on the device: free some"})
    assert page.get("/api/queue").json()["columns"]["state"][0] is None


def test_an_error_that_nobody_foresaw_tells_nothing(
    found: Review, page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(row: int) -> dict[str, Any]:
        raise RuntimeError("/secret/path")

    monkeypatch.setattr(found.deck, "card", fail)
    answer = page.get("/api/card/0")
    assert (answer.status_code, "secret" in answer.text) == (500, False)
    assert answer.headers["x-frame-options"] == "DENY"


def test_decisions_from_many_threads(found: Review, page: TestClient) -> None:
    from concurrent.futures import ThreadPoolExecutor

    rows = [0, 10, 20, 30, 40, 50] * 4
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda row: decide(client(found), one(row, "keep")).status_code, rows))
    assert sorted(codes) == [200] * 6 + [409] * 18
    assert found.session.version == 6
