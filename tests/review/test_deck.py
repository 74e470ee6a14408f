"""What the page shows of the data, and what it does not show; nothing in the data does harm."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from starlette.testclient import TestClient
from tests.review.tables import client, issues, review, review_of, write_images, write_table

from thresher.data import Reading
from thresher.review.opening import Review, Wish

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


def decide(page: TestClient, *asked: dict[str, Any]) -> Any:
    return page.post("/api/decide", json={"decisions": list(asked)})


def one(row: int, action: str, seen: int = 0, **rest: Any) -> dict[str, Any]:
    return {"row": row, "action": action, "seen": seen, **rest}


# Pictures


def test_thumb(page: TestClient) -> None:
    mark = json.loads(re.findall(r'id="config">(.*?)</script>', page.get("/").text)[0])["v"]
    for side in (128, 192, 256):
        answer = page.get(f"/thumb/10?side={side}&v={mark}")
        assert answer.headers["content-type"] == "image/webp"
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        again = page.get(f"/thumb/10?side={side}", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert page.get("/thumb/10?v=other").headers["cache-control"] == "private, no-cache"
    assert page.get("/thumb/20").headers["etag"] != page.get("/thumb/10").headers["etag"]
    assert page.get("/image/110").status_code == 200


@pytest.mark.parametrize("side", ["0", "127", "4096", "-1", "1e9", "", "128.0"])
def test_other_sides(untouched: TestClient, side: str) -> None:
    assert untouched.get(f"/thumb/10?side={side}").status_code == 400


@pytest.mark.parametrize("content", [b"", b"<svg onload='alert(1)'/>", b"<script>alert(1)</script>", b"GIF89a"])
def test_pictures_that_are_none(tmp_path: Path, page: TestClient, content: bytes) -> None:
    (tmp_path / "images" / "cat" / "0.png").write_bytes(content)
    answer = page.get("/thumb/0")
    assert (answer.status_code, answer.headers["x-picture"], answer.headers["content-type"]) == (
        200,
        "placeholder",
        "image/webp",
    )
    assert (answer.headers["cache-control"], "etag" in answer.headers) == ("no-store", False)
    assert b"alert" not in answer.content
    Image.new("RGB", (9, 9)).save(tmp_path / "images" / "cat" / "0.png")
    assert "x-picture" not in page.get("/thumb/0").headers


def test_keys_that_lead_elsewhere(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "private.png")
    table = issues()
    keys = ["../private.png", str(tmp_path / "private.png"), "cat/../../private.png", "a\0b", "x" * 5000, "images"]
    table.loc[:5, "key"] = keys
    table["duplicate_of"] = ""
    write_images(table[6:], tmp_path / "images")
    with review(tmp_path, table[table.index != 3], data=str(tmp_path / "images")) as found:
        page = client(found)
        rows = page.get("/api/queue").json()["columns"]["row"]
        for row in rows:
            assert page.get(f"/thumb/{row}").headers["x-picture"] == "placeholder", row


# Blind


def test_blind(tmp_path: Path) -> None:
    with review(tmp_path, issues(60, 20), "suggestions are hidden", blind=0.5) as found:
        page = client(found)
        told = page.get("/api/queue").json()
        columns = told["columns"]
        assert (told["blind"], told["hide_suggestion"], len(columns["row"])) == (True, True, 30)
        for name, nothing in {"p_wrong": None, "kind": 0, "reason": 0, "audit": 0, "suggested": -1}.items():
            assert set(columns[name]) == {nothing}, name
        (record,) = [place for place, chance in enumerate(found.session.queue.audit) if chance][:1]
        row = columns["row"][record]
        for shown in (row, columns["row"][0]):
            card = page.get(f"/api/card/{shown}").json()
            hidden = {name: card[name] for name in ("suggested", "p_suggested", "p_wrong", "reasons", "probabilities")}
            assert hidden == {"suggested": -1, "p_suggested": None, "p_wrong": None, "reasons": [], "probabilities": []}
            assert card["exemplars"]["suggested"] == []
        assert decide(page, one(row, "accept")).status_code == 400
        told = decide(page, one(row, "keep")).json()
        assert told["progress"]["audited"] == 1
        assert found.log.state.records[0].audit
        missed = found.session.audited()
        assert missed is not None
        assert (missed.rate, missed.recall) == (0.0, 1.0)


def test_hidden_suggestions(tmp_path: Path) -> None:
    with review(tmp_path, hide=True) as found:
        page = client(found)
        assert set(page.get("/api/queue").json()["columns"]["suggested"]) == {-1}
        card = page.get("/api/card/0").json()
        assert (card["suggested"], card["p_suggested"], card["reasons"]) == (-1, None, [])
        assert card["p_wrong"] == 0.95
        assert decide(page, one(0, "accept")).status_code == 400
        assert decide(page, one(0, "relabel", label=1)).json()["states"][0]["label"] == 1


# What comes from the data

EVIL = ("</script><img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "a\u2028b'\"&<!--")


def test_malicious_names(tmp_path: Path) -> None:
    table = issues(classes=EVIL).assign(duplicate_of="")
    table["key"] = [f"</script><script>alert({n})</script>" for n in range(len(table))]
    source = tmp_path / "<b onclick=x>"
    source.mkdir()
    with review(source, table, BARE, data=None, annotator="<i>'\"") as found:
        page = client(found)
        text = page.get("/").text
        assert text.count("<script") == 2  # its own
        assert "<i>'" not in text
        assert "alert(" not in text
        queue = page.get("/api/queue")
        assert queue.headers["content-type"] == "application/json"
        assert sorted(queue.json()["classes"]) == sorted(EVIL)
        assert decide(page, one(0, "accept")).status_code == 200
        assert found.log.state.records[0].given in EVIL


def test_text(tmp_path: Path) -> None:
    texts = ["</textarea><script>alert(1)</script>", "x" * 50_000, "two\n\nlines", "", *"abcdefgh"]
    table = issues().assign(key=lambda t: [str(n) for n in range(len(t))], duplicate_of="")
    rows = pd.DataFrame({"body": texts, "label": table["given"], "stars": np.arange(12), "none": ""})
    rows.to_csv(tmp_path / "reviews.csv", index=False)
    with review(tmp_path, table, data=str(tmp_path / "reviews.csv"), reading=Reading(text="body")) as found:
        page = client(found)
        assert page.get("/api/queue").json()["kind"] == "text"
        card = page.get("/api/card/0").json()
        assert card["text"] == texts[0]
        assert card["fields"] == [["stars", "0"], ["none", ""]]
        assert len(page.get("/api/card/10").json()["text"]) == 20_000
        excerpts = page.get("/api/excerpts?rows=0,10,20,7").json()["excerpts"]
        assert (excerpts["20"], len(excerpts["10"]), set(excerpts)) == ("two lines", 160, {"0", "10", "20"})
        assert set(card["excerpts"]) == {str(row) for part in card["exemplars"].values() for row in part}
        assert page.get("/thumb/0").status_code == 404


def write_evidence(run: Path, table: pd.DataFrame) -> None:
    folder = run / "evidence"
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    rows = np.sort(table["row"].to_numpy(dtype=np.int64))
    np.save(folder / "rows.npy", rows)
    p = rng.dirichlet(np.ones(3), len(rows)).astype(np.float32)
    np.save(folder / "probabilities.npy", p)
    near = np.stack([np.roll(np.arange(len(rows)), -k) for k in (1, 2)], 1).astype(np.int32)
    np.save(folder / "neighbours.npy", near)
    np.save(folder / "distances.npy", np.ones(near.shape, dtype=np.float32))


def test_evidence_of_a_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    table = issues(40, 10)
    write_table(table, run)
    request: dict[str, Any] = {"kind": "train", "source": None, "reading": {}}
    (run / "run.json").write_text(
        json.dumps(
            {
                "format_version": 2,
                "request": request,
                "options": {},
                "data": {"classes": ["cat", "dog", "eel"], "fingerprint": "x"},
            }
        )
    )
    write_evidence(run, table)
    with review_of(Wish(str(run), "ann", blind=5), "made from arrays in Python") as found:
        page = client(found)
        told = page.get("/api/queue").json()
        assert (told["name"], told["kind"], told["hide_suggestion"]) == ("run", "none", False)
        assert min(told["columns"]["suggested"]) >= 0  # of audit rows, too
        assert all(a != b for a, b in zip(told["columns"]["suggested"], told["columns"]["given"], strict=True))
        card = page.get("/api/card/0").json()
        assert card["probabilities"] == []  # blind
        assert [near["row"] for near in card["neighbours"]] == [10, 20]
        assert found.log.path == run / "decisions.jsonl"
    with review_of(Wish(str(run), "ann"), "made from arrays in Python") as found:
        best = client(found).get("/api/card/0").json()["probabilities"]
        assert [p for _, p in best] == sorted((p for _, p in best), reverse=True)
        assert len(best) == 3
