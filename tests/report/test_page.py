"""The whole page: self-contained, escaped, well-formed, and whole when parts are not known."""

import base64
import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from thresher.report import Report, RunView, write
from thresher.report.page import data_uri

VOID = {"meta", "img", "link", "br", "input"}


class Outline(HTMLParser):
    """Collects tags and ids, and checks that tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def made(report: Report, folder: Path) -> str:
    return write(folder / "out" / "report.html", report).read_text(encoding="utf-8")


def test_nothing_is_fetched(report: Report, tmp_path: Path) -> None:
    text = made(report, tmp_path)
    assert "http://" not in text
    assert "https://" not in text
    assert "@import" not in text
    for tag, attributes in Outline(text).tags:
        assert tag not in {"script", "link", "iframe", "object", "embed"}
        for name in ("src", "href", "xlink:href", "srcset"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/png;base64,"))
    assert "default-src 'none'" in text


def test_names_are_escaped(report: Report, tmp_path: Path) -> None:
    text = made(report, tmp_path)
    assert "<b>dog</b>" not in text
    assert "&lt;b&gt;dog&lt;/b&gt;" in text
    assert "<i>1" not in text
    assert "<script" not in text


def test_ids_are_unique_and_links_lead_somewhere(report: Report, tmp_path: Path) -> None:
    text = made(report, tmp_path)
    tags = Outline(text).tags
    ids = [a["id"] for _, a in tags if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {a["href"] for _, a in tags if "href" in a} | {f"#{i}" for i in re.findall(r"url\(#([^)]+)\)", text)}
    assert {target.removeprefix("#") for target in targets if target} <= set(ids)


def test_every_figure_has_a_text_alternative_and_every_table_a_caption(report: Report, tmp_path: Path) -> None:
    tags = Outline(made(report, tmp_path)).tags
    drawings = [a for tag, a in tags if tag == "svg"]
    assert len(drawings) == 8
    assert all(a["role"] == "img" and len(a["aria-label"] or "") > 20 for a in drawings)
    assert all(a["alt"] for tag, a in tags if tag == "img")
    names = [tag for tag, _ in tags]
    assert names.count("table") == names.count("caption") == 2


def test_figures_stand_beside_the_page(report: Report, tmp_path: Path) -> None:
    made(report, tmp_path)
    files = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    assert files == {
        "accuracy-test.svg", "accuracy-valid.svg", "memorisation-1-cross-entropy.svg", "memorisation-2-elr.svg",
        "histogram-loss.svg", "histogram-margin-over-training.svg", "given-suggested.svg", "noise.svg",
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.html", "figures"}


def test_same_report_same_bytes(report: Report, tmp_path: Path) -> None:
    assert made(report, tmp_path / "a") == made(report, tmp_path / "b")


def test_what_it_says(report: Report, tmp_path: Path) -> None:
    text = made(report, tmp_path)
    found = len(report.suspects)
    assert f"{found} of 40 labels" in text
    assert "best, leaks" in text
    assert "saw clean labels</span>" in text
    assert "ceiling 69%" in text
    assert "wrong, suggestion right" in text
    assert "65.1 to 74.5" in text  # the Wilson interval of 70 % of 360
    assert text.count("data:image/png") == found


def test_a_false_alarm_and_a_wrong_suggestion_are_marked(report: Report, tmp_path: Path) -> None:
    top = list(report.suspects["key"])
    right = report.suspects["given"].iloc[0]
    other = (set(report.classes) - {report.suspects["given"].iloc[1], report.suspects["suggested"].iloc[1]}).pop()
    truth = {**(report.truth or {}), top[0]: right, top[1]: other}
    text = made(dataclasses.replace(report, truth=truth), tmp_path)
    assert "the label is right" in text
    assert "wrong, the truth is" in text


def test_without_truth(report: Report, tmp_path: Path) -> None:
    runs = [dataclasses.replace(r, history=r.history[["epoch", "valid", "train", "changes"]]) for r in report.runs]
    text = made(dataclasses.replace(report, runs=runs, truth=None, noise=None, detections=[]), tmp_path)
    assert "The true labels are not known" in text
    assert "changed its mind" in text
    assert "The wrong labels that were put in" not in text
    assert "verdict" not in text.split("</style>")[1]
    assert "ceiling" not in text


def test_without_test_set_or_images(report: Report, tmp_path: Path) -> None:
    blank: dict[str, Any] = {"last": None, "last10": None, "selected": None, "oracle": None, "best_epoch": None}
    runs = [dataclasses.replace(r, history=r.history.assign(test=np.nan), **blank) for r in report.runs]
    text = made(dataclasses.replace(report, runs=runs, image=None, test_size=None), tmp_path)
    assert "nan" not in re.sub(r"data:\S+", "", text).lower().replace("maintenance", "")
    assert "<img" not in text
    assert not (tmp_path / "out" / "figures" / "accuracy-test.svg").exists()


@pytest.mark.parametrize("issues", [pd.DataFrame(), "unflagged"])
def test_one_run_without_suspects(report: Report, tmp_path: Path, issues: pd.DataFrame | str) -> None:
    if isinstance(issues, str):
        issues = report.run.issues.assign(is_label_issue=False)
    alone = dataclasses.replace(report, runs=[dataclasses.replace(report.run, issues=issues)], chosen=0)
    text = made(alone, tmp_path)
    assert "None of 40 labels looks wrong" in text or "no search for wrong labels" in text
    assert 'class="suspect"' not in text


def test_the_least_report(tmp_path: Path) -> None:
    text = made(Report("t", "3 rows", ["a", "b"], [RunView("elr")]), tmp_path)
    Outline(text)
    assert "<svg" not in text


def test_many_classes_show_those_with_most_suspects(report: Report, tmp_path: Path) -> None:
    classes = [*report.classes, *(f"class {n}" for n in range(97))]
    assert "Shown are the 14 of 100 classes" not in made(report, tmp_path)
    issues = report.run.issues.copy()
    issues["given"] = [classes[n % 100] for n in range(len(issues))]
    runs = [dataclasses.replace(report.run, issues=issues)]
    text = made(dataclasses.replace(report, classes=classes, runs=runs, chosen=0, noise=None), tmp_path)
    assert "of 100 classes with most suspects" in text


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 3), (8, 8, 4), (500, 300, 3)])
def test_images_become_small_pngs(shape: tuple[int, ...]) -> None:
    uri = data_uri(np.zeros(shape, dtype=np.uint8))
    assert uri is not None
    raw = base64.b64decode(uri.split(",")[1])
    assert raw.startswith(b"\x89PNG")
    width, height = (int.from_bytes(raw[a : a + 4]) for a in (16, 20))
    assert max(width, height) == min(128, max(shape[:2]))


def test_scores_that_are_all_equal(report: Report, tmp_path: Path) -> None:
    issues = report.run.issues.assign(score_loss=0.0, score_margin=np.nan)
    runs = [report.runs[0], dataclasses.replace(report.run, issues=issues)]
    made(dataclasses.replace(report, runs=runs), tmp_path)
    assert (tmp_path / "out" / "figures" / "histogram-loss.svg").exists()
    assert not (tmp_path / "out" / "figures" / "histogram-margin-over-training.svg").exists()
