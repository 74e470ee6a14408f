"""`thresher review`: what it refuses, and files of decisions put together. The server: tests/review/test_serve.py."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.review.tables import issues, write_images, write_table

from thresher.decisions import Log, decide, read

Call = Callable[..., Any]


@pytest.fixture
def table(workplace: Path) -> str:
    write_images(issues(), workplace / "images")
    write_table(issues(), workplace)
    return "issues.csv"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Reviews that would have been served: the server is told that it began, and ends at once."""
    calls: list[dict[str, Any]] = []

    def serve(review: Any, place: Any, host: str, *, told: Callable[[str, int], None], browser: bool) -> None:
        port = place.getsockname()[1]
        calls.append({"review": review, "host": host, "browser": browser, "port": port})
        told(f"http://127.0.0.1:{port}/?token=secret", port)

    monkeypatch.setattr("thresher.review.serve.serve", serve)
    return calls


def test_words_for_people(table: str, thresher: Call, served: list[dict[str, Any]]) -> None:
    said = thresher("review", table, "--data", "images", "--annotator", "ann")
    port = served[0]["port"]
    assert (said.code, served[0]["browser"], served[0]["host"]) == (0, True, "127.0.0.1")
    assert said.out == (
        f"http://127.0.0.1:{port}/?token=secret\ndecided 0 of 6 rows\n"  # there is nothing to be corrected by
    )
    assert not Path("issues.decisions.jsonl").exists()
    assert said.err.splitlines() == [
        "6 rows, 0 decided by ann; Ctrl-C ends the review",
        "about 4 of 6 suspects are expected to be wrong (2 to 6)",
    ]


def test_json(table: str, thresher: Call, served: list[dict[str, Any]]) -> None:
    said = thresher("review", table, "--data", "images", "--json", "--no-browser", "--top", 3, "--annotator", "bob")
    told = json.loads(said.out)
    port = served[0]["port"]
    assert told == {
        "url": f"http://127.0.0.1:{port}/?token=secret",
        "port": port,
        "decisions": "issues.decisions.jsonl",
        "rows": 3,
        "decided": 0,
        "annotator": "bob",
    }
    assert not served[0]["browser"]


def test_no_next_step_where_all_was_undone(table: str, thresher: Call, served: list[dict[str, Any]]) -> None:
    with Log("issues.decisions.jsonl") as log:
        log.append(decide("a", "bad", given="cat", annotator="ann"))
        log.undo("ann")
    said = thresher("review", table, "--data", "images", "--annotator", "ann")
    assert said.out.splitlines()[1:] == ["decided 0 of 6 rows: issues.decisions.jsonl"]


def test_what_is_asked_for(table: str, thresher: Call, served: list[dict[str, Any]]) -> None:
    said = thresher("review", table, "--data", "images", "--blind", 3, "--hide-suggestion", "--decisions", "d.jsonl")
    queue = served[0]["review"].session.queue
    assert (said.code, len(queue), queue.blind, queue.hidden) == (0, 9, True, True)
    assert served[0]["review"].log.path == Path("d.jsonl")
    thresher("review", table, "--data", "images", "--budget", 0.2)
    assert len(served[1]["review"].session.queue) == 4
    assert served[1]["review"].session.annotator


def test_a_summary_of_an_audit(
    table: str, thresher: Call, served: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from thresher.review.session import Asked

    def serve(review: Any, place: Any, host: str, **rest: Any) -> None:
        session = review.session
        rows = session.queue.cards.rows[session.queue.order]
        session.decide(
            [
                Asked(int(row), "keep" if chance else "bad", 0)
                for row, chance in zip(rows, session.queue.audit, strict=True)
            ]
        )

    monkeypatch.setattr("thresher.review.serve.serve", serve)
    said = thresher("review", table, "--data", "images", "--blind", 3, "--hide-suggestion")
    assert said.out.splitlines()[:4] == [
        "decided 9 of 9 rows: issues.decisions.jsonl",
        "wrong among the suspects decided: 100.0% (61.0% to 100.0%)",
        "wrong among labels that nobody suspects: 0.0% (0.0% to 56.1%)",
        "so the suspects hold about 100% of all wrong labels",
    ]


def test_other_interfaces_are_warned_about(table: str, thresher: Call, served: list[dict[str, Any]]) -> None:
    said = thresher("review", table, "--data", "images", "--host", "0.0.0.0")  # noqa: S104
    assert said.err.startswith("warning: 0.0.0.0 can be reached from other machines")
    assert served[0]["host"] == "0.0.0.0"  # noqa: S104


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("absent.csv",), "there is no run and no file absent.csv"),
        (("issues.csv", "issues.csv"), "2 sources are given: review one run"),
        (("issues.csv", "--out", "x.jsonl"), "--out belongs to --merge"),
        (("issues.csv", "--text", "body"), "--text says how a table is read"),
        (("issues.csv", "--data", "nowhere"), "nowhere"),
        (("issues.csv", "--data", "images", "--top", "0"), "top is 0"),
        (("issues.csv", "--data", "images", "--top", "3", "--budget", "2"), "both --top and --budget"),
        (("issues.csv", "--data", "images", "--budget", "-1"), "budget is -1"),
        (("issues.csv", "--data", "images", "--budget", "nan"), "budget is nan"),
        (("issues.csv", "--data", "images", "--blind", "0"), "blind is 0"),
        (("issues.csv", "--annotator", ""), "annotator is ''"),
        (("issues.csv", "--annotator", "a\nb"), "annotator is 'a\\nb'"),
        (("issues.csv", "--annotator", "a" * 101), "1 to 100 printable"),
        (("issues.csv", "--decisions", "no/such/folder.jsonl"), "there is no folder no/such"),
        (("issues.csv", "--decisions", "images"), "images is a folder"),
        (("issues.csv", "--port", "99999"), "port is 99999"),
        (("--merge", "issues.csv"), "needs two or more files"),
        (("--merge", "a.jsonl", "b.jsonl"), "there is no file a.jsonl"),
    ],
)
def test_refusals(table: str, thresher: Call, served: list[dict[str, Any]], words: tuple[str, ...], said: str) -> None:
    found = thresher("review", *words)
    assert (found.code, found.out, served) == (2, "", [])
    assert said in found.err
    assert found.err.count("\n") == 1


def test_a_file_of_decisions_that_is_damaged(table: str, thresher: Call, served: list[dict[str, Any]]) -> None:
    Path("issues.decisions.jsonl").write_text("nonsense\n")
    found = thresher("review", table, "--data", "images")
    assert (found.code, served) == (2, [])
    assert "line 1 of issues.decisions.jsonl" in found.err


def test_one_at_a_time(table: str, thresher: Call, served: list[dict[str, Any]]) -> None:
    with Log("issues.decisions.jsonl"):
        found = thresher("review", table, "--data", "images")
    assert (found.code, found.out, served) == (2, "", [])
    assert "issues.decisions.jsonl is open in another review" in found.err
    assert thresher("review", table, "--data", "images").code == 0


def write_log(path: str, annotator: str, **actions: str) -> None:
    with Log(path) as log:
        for key, action in actions.items():
            log.append(decide(key, action, given="cat", suggested="dog", annotator=annotator))


def test_merge(workplace: Path, thresher: Call) -> None:
    write_log("a.jsonl", "ann", a="accept", b="keep", c="bad", d="keep")
    write_log("b.jsonl", "bob", a="accept", b="accept", c="bad", e="keep")
    said = thresher("review", "--merge", "a.jsonl", "b.jsonl", "--out", "both.jsonl")
    lines = said.out.splitlines()
    assert (said.code, said.err) == (0, "")
    assert lines[0] == "8 records of ann, bob about 5 rows"
    assert lines[1] == "agreement on rows that two or more decided: 66.7%; they differ on 1"
    assert lines[2].startswith("  ann and bob: Cohen's kappa 0.")
    assert lines[3] == "decisions: both.jsonl"
    assert len(read("both.jsonl")) == 8
    again = thresher("review", "--merge", "a.jsonl", "b.jsonl", "--out", "both.jsonl")
    assert (again.code, "both.jsonl exists" in again.err) == (2, True)


def test_merge_as_json(workplace: Path, thresher: Call) -> None:
    write_log("a.jsonl", "ann", a="accept", b="keep")
    write_log("b.jsonl", "bob", a="keep", b="keep")
    told = json.loads(thresher("review", "--merge", "a.jsonl", "b.jsonl", "--json").out)
    assert told["disagreements"] == [{"key": "a", "ann": "dog", "bob": "cat"}]
    assert (told["out"], told["records"], told["rows"], told["agreement"]) == (None, 4, 2, 0.5)
    assert told["pairs"] == [{"annotators": ["ann", "bob"], "kappa": 0.0}]


def test_merge_without_a_common_row(workplace: Path, thresher: Call) -> None:
    write_log("a.jsonl", "ann", a="accept")
    write_log("b.jsonl", "bob", b="keep")
    said = thresher("review", "--merge", "a.jsonl", "b.jsonl")
    assert "no row was decided by two of them" in said.out
