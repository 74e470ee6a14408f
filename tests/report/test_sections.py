"""The sections of a page that tell what to do: reasons, a review, kinds, annotators, the next commands."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from thresher import reporting
from thresher.annotators.agreement import Agreement
from thresher.audit.combine import Combined
from thresher.audit.evidence import Evidence
from thresher.audit.issues import issues_table
from thresher.errors import UsageError
from thresher.report import Report, RunView, cards, sentences, write
from thresher.report.columns import Columns

VOID = {"meta", "img", "path", "use", "rect", "br"}


def made(report: Report, folder: Path) -> str:
    text = write(folder / "report.html", report).read_text(encoding="utf-8")
    closed(text)
    return text


def closed(text: str) -> None:
    """Every element that is opened is closed, in order."""
    stack: list[str] = []
    body = re.sub(r"<style>.*?</style>|<!DOCTYPE[^>]*>|<!--.*?-->", "", text, flags=re.DOTALL)
    for end, tag, rest in re.findall(r"<(/?)([a-zA-Z][\w:]*)([^>]*)>", body):
        if end:
            assert stack.pop() == tag
        elif not rest.endswith("/") and tag not in VOID - {"path", "use", "rect"}:
            stack.append(tag)
    assert stack == []


@pytest.fixture
def judged(report: Report) -> Report:
    """The small report with all evidence combined, as `find` makes it."""
    issues = report.run.issues.sort_values("row")
    codes = {name: k for k, name in enumerate(report.classes)}
    given = issues["given"].map(codes).to_numpy()
    true = issues["key"].map(report.truth or {}).map(codes).to_numpy()
    belief = np.full((40, 3), 0.05)
    belief[np.arange(40), true] = 0.9
    combined = Combined(np.where(given != true, 0.93, 0.03), belief, {}, 0.3)
    evidence = [Evidence("confident", np.where(given != true, 0.5, -0.5), belief)]
    evidence.append(Evidence("neighbours", np.where(given != true, 0.2, -0.2), reason="neighbours; that is all"))
    table = issues_table(
        evidence, keys=issues["key"].to_numpy(), given=given, probabilities=belief, classes=report.classes,
        combined=combined,
    )  # fmt: skip
    return dataclasses.replace(report, runs=[RunView("cross_entropy", issues=table, seconds=75)], chosen=0)


def section(text: str, name: str) -> str:
    return text.split(f'<h2 id="{name}">')[1].split("</section>", maxsplit=1)[0]


def test_reasons_stand_one_by_one_and_how_sure_above_them(judged: Report, tmp_path: Path) -> None:
    card = cards.suspects(judged, Columns(judged))[0]
    assert card.p_wrong == pytest.approx(0.93)
    assert len(card.reasons) == 3  # the sentence of all evidence together is the line above them
    assert card.reasons[0].startswith("confident expects")
    text = section(made(judged, tmp_path), "suspects")
    assert text.count("93\xa0% likely wrong") == len(judged.suspects)
    assert "<li>neighbours</li>" in text
    assert "sure that it is wrong" not in text


def test_without_probabilities_cards_tell_how_sure_the_suggestion_is(report: Report) -> None:
    card = cards.suspects(report, Columns(report))[0]
    assert card.p_wrong is None
    assert card.p == pytest.approx(0.9)
    nothing = report.run.issues.assign(reasons=np.nan).drop(columns=["p_suggested", "p_wrong"])
    bare = dataclasses.replace(report, runs=[RunView("elr", issues=nothing)], chosen=0)
    card = cards.suspects(bare, Columns(bare))[0]
    assert (card.p, card.p_wrong, card.reasons) == (None, None, [])


def test_a_review_is_told_with_its_tables_and_figures(judged: Report, tmp_path: Path) -> None:
    text = made(judged, tmp_path)
    found, part = len(judged.suspects), section(text, "review")
    assert f"Review the first {found}" in part
    assert f"{found} of {found} really are wrong" in part
    assert part.count("<svg") == 2
    assert part.count("<table") == part.count("<caption") == 2
    assert "Brier" in part
    assert '<a href="#review">' in text
    assert "expected wrong" in section(text, "classes")
    assert "expected wrong" in section(text, "pairs")
    assert (tmp_path / "figures" / "review-precision.svg").exists()
    unknown = section(made(dataclasses.replace(judged, truth=None, noise=None), tmp_path), "review")
    assert unknown.count("<svg") == unknown.count("<table") == 1
    assert "really wrong" not in unknown


def test_expected_counts_add_up(judged: Report, tmp_path: Path) -> None:
    rows = re.findall(r"<tr.*?</tr>", section(made(judged, tmp_path), "pairs"), re.DOTALL)[1:]
    numbers = [[float(cell) for cell in re.findall(r'<td class="number">([\d.]+)</td>', row)[:2]] for row in rows]
    assert all(expected == pytest.approx(0.93 * count, abs=0.06) for count, expected in numbers)


def test_a_search_without_a_training_has_no_methods(judged: Report, report: Report, tmp_path: Path) -> None:
    text = made(judged, tmp_path)
    assert 'id="methods"' not in text
    assert "<dt>time</dt><dd>1 min 15 s</dd>" in text
    assert sentences.headline(judged).endswith("look wrong.")
    assert 'id="methods"' in made(report, tmp_path)


def test_what_all_say_together_is_no_further_witness(judged: Report, tmp_path: Path) -> None:
    text = section(made(judged, tmp_path), "agreement")
    assert "How many of the 2 witnesses" in text
    assert "nearest neighbours" in text
    assert "all evidence together" not in text
    rows = [{**judged.detections[0], "name": "combined"}]
    marked = made(dataclasses.replace(judged, detections=rows), tmp_path)
    assert "all evidence together" in section(marked, "detectors")


def test_every_kind_has_its_section(judged: Report, tmp_path: Path) -> None:
    issues = judged.run.issues
    kind = ["ambiguous"] * 12 + ["outlier"] + [""] * 27
    copies = ["", issues["key"][39], *[""] * 38] if issues["given"][1] != issues["given"][39] else [""] * 40
    copies[0] = next(
        key for key, name in zip(issues["key"], issues["given"], strict=True) if name != issues["given"][0]
    )
    run = dataclasses.replace(judged.run, issues=issues.assign(kind=kind, duplicate_of=copies))
    text = made(dataclasses.replace(judged, runs=[run]), tmp_path)
    assert section(text, "copies").count('<div class="suspect">') in {2, 4}
    assert "12 samples for which two labels are plausible" in section(text, "ambiguous")
    assert "Shown are the first 8." in section(text, "ambiguous")
    assert section(text, "outliers").count('<li class="suspect">') == 1
    assert '<span class="tag clean">ambiguous</span>' in section(text, "suspects")
    assert "<b>dog" not in text
    for name in ("copies", "ambiguous", "outliers", "annotators"):
        assert f'id="{name}"' not in made(judged, tmp_path / "none")


def test_the_next_commands_can_be_pasted(report: Report, tmp_path: Path) -> None:
    there = dataclasses.replace(report, source="runs/a b; rm -rf ~")
    assert sentences.steps(there) == [
        ("Look at the suspects in a browser, and decide", "thresher review 'runs/a b; rm -rf ~'"),
        (
            "Write the labels as decided, the original stays as it is",
            "thresher correct 'runs/a b; rm -rf ~' --policy review --out corrected.csv",
        ),
    ]
    table = sentences.steps(dataclasses.replace(report, source="found/issues.csv"))
    assert "--decisions found/issues.decisions.jsonl --out" in table[1][1]
    assert "<pre>thresher review &#39;runs/a b" in made(there, tmp_path)
    assert sentences.steps(report) == []
    quiet = RunView("elr", issues=report.run.issues.assign(is_label_issue=False))
    assert sentences.steps(dataclasses.replace(there, runs=[quiet], chosen=0)) == []


def people() -> pd.DataFrame:
    names = ["<img src=x onerror=alert(1)>", *(f"p{n}" for n in range(31))]
    return pd.DataFrame(
        {
            "annotator": names, "labels": 1000, "agreement": 0.5, "kappa": [np.nan] + [0.4] * 31,
            "quality": np.linspace(0.3, 0.99, 32), "worst_class": ["<b>dog</b>"] + [""] * 31,
        }
    )  # fmt: skip


def test_a_report_without_a_run(judged: Report, tmp_path: Path) -> None:
    issues = judged.run.issues.drop(columns=["row"])
    path = reporting.write_issues_report(
        issues, judged.classes, tmp_path / "r.html", title="<i>votes</i>", command="thresher find --labels v.csv",
        annotators=people(), agreement=Agreement(40, 0.75, 0.6, None), source="issues.csv",
    )  # fmt: skip
    text = path.read_text(encoding="utf-8")
    closed(text)
    part = section(text, "annotators")
    assert part.count('<th scope="row">') == 30
    assert "And 2 annotators more" in part
    assert "alpha 0.60" in part
    assert "stands apart: quality 30\xa0%" in part
    assert not re.search(r"<(i|b|img)[ >]", part)
    assert "thresher review issues.csv" in text
    assert not (tmp_path / "figures").exists()  # that may be somebody's own folder
    assert "figures/" not in text
    assert "40 labelled samples, 3 classes, 32 annotators" in text
    assert "nan" not in re.sub(r"data:\S+", "", text).lower()


def test_a_report_without_a_run_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no column 'suggested'"):
        reporting.write_issues_report(
            pd.DataFrame({"key": [], "given": []}), ["a"], tmp_path / "r.html", title="t", command="c"
        )
    assert not (tmp_path / "r.html").exists()
    empty = pd.DataFrame({"key": [], "given": [], "suggested": [], "is_label_issue": []})
    page = reporting.write_issues_report(empty, ["a"], tmp_path / "r.html", title="t", command="c")
    closed(page.read_text(encoding="utf-8"))


def test_a_thousand_classes_stay_readable(tmp_path: Path) -> None:
    n, draws = 50_000, np.random.default_rng(0)
    names = np.array([f"a rather long name of the class {k}" for k in range(1000)], dtype=object)
    given, other = (1000 * draws.random((2, n)) ** 2).astype(int)
    p = np.sort(draws.random(n))[::-1] ** 3
    issues = pd.DataFrame({
        "key": np.arange(n).astype(str), "given": names[given], "suggested": names[other], "p_wrong": p,
        "is_label_issue": p > 0.5, "reasons": "", "kind": np.where(p > 0.9, "ambiguous", ""),
        "duplicate_of": np.roll(np.arange(n), 1).astype(str),
    })  # fmt: skip
    page = reporting.write_issues_report(issues, list(names), tmp_path / "r.html", title="t", command="c")
    text = page.read_text(encoding="utf-8")
    assert "Shown are the 14 of 1000 classes" in text
    assert section(text, "pairs").count('<th scope="row"') == 11
    assert section(text, "classes").count('<th scope="row"') == 30
    assert section(text, "copies").count("<li>\n") == 10
    assert len(text) < 500_000
