"""Small tables of issues with their images, and a review of them, to start from."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from starlette.testclient import TestClient

from thresher.review.app import build
from thresher.review.opening import Review, Wish, opened
from thresher.review.security import Door

TOKEN = "a-long-secret"  # noqa: S105 -- of these tests
PORT = 8123
ORIGIN = f"http://127.0.0.1:{PORT}"


def issues(rows: int = 12, suspects: int = 6, classes: tuple[str, ...] = ("cat", "dog", "eel")) -> pd.DataFrame:
    """Worst first; suspects are suggested the next class, the others their own; row numbers are not places."""
    given = np.arange(rows) % len(classes)
    flagged = np.arange(rows) < suspects
    suggested = np.where(flagged, (given + 1) % len(classes), given)
    names = np.array(classes, dtype=object)
    return pd.DataFrame(
        {
            "key": [f"{names[k]}/{n}.png" for n, k in enumerate(given)],
            "row": np.arange(rows) * 10,
            "given": names[given],
            "suggested": names[suggested],
            "p_suggested": np.linspace(0.9, 0.5, rows),
            "label_quality": np.linspace(0.1, 0.9, rows),
            "p_wrong": np.linspace(0.95, 0.05, rows),
            "is_label_issue": flagged,
            "reasons": [
                f"elr expects '{names[k]}' (p 0.90); a second doubt" if f else ""
                for k, f in zip(suggested, flagged, strict=True)
            ],
            "score_elr": np.where(flagged, 1.0, -1.0),
            "score_loss": np.where(np.arange(rows) < suspects // 2, 1.0, -1.0),
            "kind": np.where(flagged, "wrong", ""),
            "duplicate_of": ["cat/3.png" if n == 1 else "" for n in range(rows)],
        }
    )


def write_images(table: pd.DataFrame, folder: Path, size: tuple[int, int] = (40, 30)) -> Path:
    """An image for every key."""
    for n, key in enumerate(table["key"]):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (n, 2 * n, 255 - n)).save(path)
    return folder


def write_table(table: pd.DataFrame, folder: Path) -> Path:
    """The table as ``issues.csv``."""
    path = folder / "issues.csv"
    table.to_csv(path, index=False)
    return path


@contextmanager
def review(folder: Path, table: pd.DataFrame | None = None, warns: str = "", **wish: Any) -> Iterator[Review]:
    """An open review of a table in a folder, with its images; opening it gives a warning that holds `warns`."""
    table = issues() if table is None else table
    source = write_table(table, folder)
    if "data" not in wish:
        wish["data"] = str(write_images(table, folder / "images"))
    with review_of(Wish(str(source), **{"annotator": "ann", **wish}), warns) as found:
        yield found


@contextmanager
def review_of(wish: Wish, warns: str = "") -> Iterator[Review]:
    """An open review of anything."""
    with pytest.warns(UserWarning, match=warns) if warns else nullcontext():
        found = opened(wish)
    with found.log:
        yield found


def client(found: Review, cookie: bool = True) -> TestClient:
    """A browser that has opened the page; other errors than foreseen ones become answers."""
    door = Door(TOKEN, PORT)
    headers = {"origin": ORIGIN}
    if cookie:
        headers["cookie"] = f"{door.cookie}={TOKEN}"
    app = build(found.deck, door, command="thresher correct issues.csv")
    return TestClient(app, base_url=ORIGIN, headers=headers, raise_server_exceptions=False)
