"""The whole page: self-contained, escaped, well-formed, and whole when parts are not known."""

import base64
import dataclasses
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from thresher.report import Report, RunView, write
from thresher.report.cards import data_uri

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
    assert len(drawings) == 9
    assert all(a["role"] == "img" and len(a["aria-label"] or "") > 20 for a in drawings)
    assert all(a["alt"] for tag, a in tags if tag == "img")
    names = [tag for tag, _ in tags]
    assert names.count("table") == names.count("caption") == 6
    heads = [a for tag, a in tags if tag == "th"]
    assert all(a["scope"] in {"row", "col"} for a in heads)


def test_figures_stand_beside_the_page(report: Report, tmp_path: Path) -> None:
    made(report, tmp_path)
    files = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    assert files == {
        "accuracy-test.svg", "accuracy-valid.svg", "memorisation-1-cross-entropy.svg", "memorisation-2-elr.svg",
        "histogram-loss.svg", "histogram-margin-over-training.svg", "given-suggested.svg", "noise.svg",
        "suspects-per-class.svg",
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
    assert f"{len(report.suspects) / 0.4:.1f}\xa0% of the held-out ones" in text
    assert "really wrong" not in text


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


def test_many_classes_show_those_of_the_most_frequent_pairs(report: Report, tmp_path: Path) -> None:
    classes = [*report.classes, *(f"class {n}" for n in range(97))]
    assert "classes in the most frequent pairs" not in made(report, tmp_path)
    issues = report.run.issues.assign(is_label_issue=True)
    issues["given"] = [classes[n % 100] for n in range(len(issues))]
    runs = [dataclasses.replace(report.run, issues=issues)]
    text = made(dataclasses.replace(report, classes=classes, runs=runs, chosen=0, noise=None), tmp_path)
    assert "of 100 classes in the most frequent pairs" in text
    assert "other pairs" in text
    assert "other classes" in text


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


def shirts(report: Report, **fields: Any) -> Report:
    """The report with a table of one row per sample."""
    table = pd.DataFrame(
        {"<u>size</u>": np.arange(40.0), "<u>kind</u>": ["<s>x</s>", "y"] * 20, "words": ["a <em>b</em>"] * 40}
    )
    return dataclasses.replace(report, table=table, image=None, **fields)


def test_values_and_texts_stand_on_the_cards_escaped(report: Report, tmp_path: Path) -> None:
    text = made(shirts(report, text_column="words"), tmp_path)
    Outline(text)
    assert "a &lt;em&gt;b&lt;/em&gt;</blockquote>" in text
    assert "&lt;u&gt;size&lt;/u&gt;</dt>" in text
    assert not re.search("<(u|s|em)>", text)
    assert text.count("<blockquote") == len(report.suspects)
    assert "<dt>words</dt>" not in text
    assert "<dt>words</dt>" in made(shirts(report), tmp_path)


def test_columns_in_which_suspects_differ(report: Report, tmp_path: Path) -> None:
    doubted = np.zeros(40)
    doubted[report.suspects["row"]] = 5.0
    table = pd.DataFrame({"lever": doubted + np.arange(40) % 3, "same": np.arange(40) % 2})
    text = made(dataclasses.replace(report, table=table), tmp_path)
    section = text.split("How suspects differ")[1].split("</section>")[0]
    assert section.index("lever") > section.index("<tbody>")
    assert 'class="bar" style="--from:50.0%;--to:0.0%"' in section  # the largest difference fills its side
    assert "How suspects differ" not in made(report, tmp_path)


def test_before_and_after(report: Report, tmp_path: Path) -> None:
    changes = report.suspects[["key", "row", "given", "suggested"]].rename(columns={"suggested": "label"})
    after = dataclasses.replace(report.run, last=0.91)
    both = dataclasses.replace(report, runs=[after], chosen=0, before=report.run, label_changes=changes)
    text = made(both, tmp_path)
    Outline(text)
    section = text.split('id="correction"')[1].split("</section>")[0]
    assert f"{len(changes)} of 40 labels" in section
    assert "70.0" in section
    assert "91.0" in section
    assert section.count("<li") == min(12, len(changes))
    assert "made right" in section
    assert 'id="correction"' not in made(report, tmp_path)


def test_a_correction_without_changes(report: Report, tmp_path: Path) -> None:
    none = pd.DataFrame({"key": [], "row": [], "given": [], "label": []})
    text = made(dataclasses.replace(report, label_changes=none), tmp_path)
    assert "0 of 40 labels" in text
    assert "Some of the labels that were changed" not in text


def test_many_runs(report: Report, tmp_path: Path) -> None:
    runs = [dataclasses.replace(report.run, title=f"method {i}") for i in range(20)]
    text = made(dataclasses.replace(report, runs=runs, chosen=17), tmp_path)
    table = text.split('id="methods"')[1].split("</table>")[0]
    assert table.count('<th scope="row">') == 20
    assert "Shown are 8 of 20 runs" in text
    curves = text.split('id="accuracy"')[1].split("</section>")[0]
    assert "method 17" in curves
    assert "method 12" not in curves
    assert "Shown are the 14 of 20 runs" in text
    assert "1 method 17</th>" in text


def test_runs_over_different_rows_are_compared_by_key(report: Report, tmp_path: Path) -> None:
    runs = [report.run, dataclasses.replace(report.run, issues=report.run.issues[::2])]
    text = made(dataclasses.replace(report, runs=runs, chosen=0), tmp_path)
    assert "The runs did not judge the same rows" in text
    same = dataclasses.replace(report, runs=[report.run, report.run], chosen=0)
    assert "All runs judged the same rows." in made(same, tmp_path)


def test_accuracy_per_class(report: Report, tmp_path: Path) -> None:
    counts = {"cat": (90, 100), "<b>dog</b>": (5, 10), "eel": (0, 0)}
    runs = [report.runs[0], dataclasses.replace(report.run, per_class=counts)]
    text = made(dataclasses.replace(report, runs=runs), tmp_path)
    assert '70.0\xa0%<span class="range">56.5 to 83.5' in text
    section = text.split('id="recalls"')[1].split("</section>")[0]
    assert "<b>dog" not in section
    assert "eel" not in section
    assert (tmp_path / "out" / "figures" / "accuracy-per-class.svg").exists()


def test_labels_of_people_are_not_called_put_in_on_purpose(report: Report, tmp_path: Path) -> None:
    human = {**(report.noise or {}), "human": True}
    text = made(dataclasses.replace(report, noise=human), tmp_path)
    assert "The labels that people got wrong" in text
    assert "on purpose" not in text
    assert "<dt>human</dt>" not in text


def test_a_million_rows_take_seconds(report: Report, tmp_path: Path) -> None:
    n, classes = 1_000_000, [f"class {k}" for k in range(1000)]
    draws = np.random.default_rng(0)
    given, other = draws.integers(0, 1000, (2, n))
    names, score = np.array(classes, dtype=object), np.linspace(1, -9, n)
    issues = pd.DataFrame({
        "key": np.arange(n).astype(str), "row": np.arange(n), "given": names[given], "suggested": names[other],
        "p_suggested": 0.5, "is_label_issue": score > 0, "reasons": "", "score_loss": score, "score_margin": score,
    })  # fmt: skip
    table = pd.DataFrame({"x": score, "kind": np.where(given % 2, "odd", "even")})
    big = Report("big", "a million rows", classes, [RunView("elr", issues=issues)], table=table)
    started = time.monotonic()
    text = made(big, tmp_path)
    assert time.monotonic() - started < 30  # 3 s on an idle machine; row by row it would be minutes
    assert len(text) < 1_000_000
