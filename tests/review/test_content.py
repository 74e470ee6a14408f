"""What there is to see, for every kind of data, and what is said where it is not there any more."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.review.tables import client, issues, review, review_of, write_images, write_table

import thresher as th
from thresher.data import Reading
from thresher.errors import ThresherError, UsageError
from thresher.review.content import of_data, of_run
from thresher.review.opening import Wish

KEYS = np.array(["cat/0.png", "dog/1.png"], dtype=object)


def run_of(folder: Path, source: str | None, table: pd.DataFrame, **reading: Any) -> Path:
    """A run folder that was made from data, as far as a review reads it."""
    run = folder / "run"
    run.mkdir(exist_ok=True)
    write_table(table, run)
    request: dict[str, Any] = {
        "kind": "train",
        "source": source,
        "reading": reading,
        "noise": [],
        "mapping": None,
        "trusted": None,
    }
    request |= {"cross_fit": 0, "device": "cpu"}
    about = {"classes": sorted(set(table["given"])), "fingerprint": "x"}
    stored: dict[str, Any] = {"format_version": 2, "request": request, "data": about, "options": {"seed": 0}}
    (run / "run.json").write_text(json.dumps(stored))
    return run


def test_folder(tmp_path: Path) -> None:
    write_images(issues(), tmp_path / "pics")
    content = of_data(str(tmp_path / "pics"), Reading(), None, KEYS)
    assert (content.kind, content.picture("dog/1.png")) == ("image", tmp_path / "pics" / "dog" / "1.png")
    assert (content.words("dog/1.png"), content.cells("dog/1.png"), content.excerpt("dog/1.png")) == (None, None, "")


def test_folder_with_train_and_test(tmp_path: Path) -> None:
    write_images(issues(), tmp_path / "pics" / "train")
    content = of_data(str(tmp_path / "pics"), Reading(), None, KEYS)
    assert content.picture("dog/1.png") == tmp_path / "pics" / "train" / "dog" / "1.png"


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    with pytest.raises(UsageError, match=r"has no file 'cat/0.png', nor any of the next"):
        of_data(str(tmp_path / "pics"), Reading(), None, KEYS)


@pytest.mark.parametrize("key", ["../x.png", "/etc/passwd", "a/../../x.png", "a\0b", ".."])
def test_never_out_of_the_folder(tmp_path: Path, key: str) -> None:
    write_images(issues(), tmp_path / "pics")
    content = of_data(str(tmp_path / "pics"), Reading(), None, KEYS)
    with pytest.raises(ThresherError, match="leads out of"):
        content.picture(key)


def test_run_of_a_folder(tmp_path: Path) -> None:
    run = run_of(tmp_path, str(write_images(issues(), tmp_path / "pics")), issues())
    with review_of(Wish(str(run), "ann")) as found:
        assert "x-picture" not in client(found).get("/thumb/0").headers
        assert found.command == f"thresher correct {run} --policy review --out corrected.csv"
    shutil.move(tmp_path / "pics", tmp_path / "moved")
    with review_of(Wish(str(run), "ann"), "there is no file or folder|data cannot be read") as found:
        assert client(found).get("/api/queue").json()["kind"] == "none"
    with review_of(Wish(str(run), "ann", data=str(tmp_path / "moved"))) as found:
        assert "x-picture" not in client(found).get("/thumb/0").headers


def write_rows(folder: Path, table: pd.DataFrame, **columns: Any) -> str:
    rows = pd.DataFrame({"id": table["key"], "label": table["given"], **columns})
    rows.to_csv(folder / "rows.csv", index=False)
    return str(folder / "rows.csv")


def test_table_by_id(tmp_path: Path) -> None:
    source = write_rows(tmp_path, issues(), weight=np.arange(12), colour="red")
    run = run_of(tmp_path, source, issues(), id="id")
    with review_of(Wish(str(run), "ann")) as found:
        page = client(found)
        card = page.get("/api/card/20").json()
        assert (card["kind"], card["text"], card["fields"]) == ("table", None, [["weight", "2"], ["colour", "red"]])
        assert page.get("/api/excerpts?rows=20").json()["excerpts"] == {"20": "weight 2, colour red"}


def test_table_that_names_images(tmp_path: Path) -> None:
    write_images(issues(), tmp_path / "pics")
    source = write_rows(tmp_path, issues(), file=["pics/" + key for key in issues()["key"]], camera="x")
    run = run_of(tmp_path, source, issues(), id="id", path="file")
    with review_of(Wish(str(run), "ann")) as found:
        page = client(found)
        assert "x-picture" not in page.get("/image/20").headers
        assert page.get("/api/card/20").json()["fields"] == [["camera", "x"]]


def test_keys_that_the_data_does_not_have(tmp_path: Path) -> None:
    source = write_rows(tmp_path, issues(11))
    with pytest.raises(UsageError, match=r"has no row with the key 'eel/11.png'.*--id"):
        of_data(source, Reading(id="id"), None, issues()["key"].to_numpy())
    with pytest.raises(UsageError, match="has no row with the key"):
        of_data(source, Reading(), None, issues()["key"].to_numpy())


def test_labels_that_differ(tmp_path: Path) -> None:
    table = issues()
    source = write_rows(tmp_path, table.assign(given=["dog", *table["given"][1:]]), weight=1)
    with pytest.warns(
        UserWarning, match=r"1 of 12 given labels differ from those in .*the first is that of 'cat/0.png'"
    ):
        of_data(source, Reading(id="id"), None, table["key"].to_numpy(), table["given"].to_numpy())


@pytest.mark.parametrize(
    ("reading", "said"), [({"text": "body"}, "--text"), ({"path": "file"}, "--path"), ({"id": "no"}, "--id")]
)
def test_columns_that_are_not_there(tmp_path: Path, reading: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        of_data(write_rows(tmp_path, issues()), Reading(**{"id": "id", **reading}), None, KEYS)  # type: ignore[arg-type]


def test_arrays(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 9, 9, 3), dtype=np.uint8)
    np.savez(tmp_path / "pics.npz", allow_pickle=False, x=images, y=issues()["given"].to_numpy(dtype=str))
    table = issues().assign(key=[str(n) for n in range(12)], duplicate_of="")
    with review(tmp_path, table, data=str(tmp_path / "pics.npz")) as found:
        assert "x-picture" not in client(found).get("/thumb/20").headers
        picture = found.deck.content.picture("2")
        assert np.array_equal(np.asarray(picture), images[2].transpose(2, 0, 1))
        with pytest.raises(ThresherError, match="has no image of '99'"):
            found.deck.content.picture("99")


def test_features_have_nothing_to_see(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", allow_pickle=False, x=np.zeros((12, 3)), y=issues()["given"].to_numpy(dtype=str))
    keys = np.array([str(n) for n in range(12)], dtype=object)
    assert of_data(str(tmp_path / "x.npz"), Reading(), None, keys).kind == "none"


def test_a_real_run(tmp_path: Path) -> None:
    """Images from memory; then the file changes, and nothing is shown beside the wrong label."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = (rng.random((60, 8, 8)) * 100 + 100 * y[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "pics.npz", allow_pickle=False, x=x, y=y)
    run = th.fit(
        str(tmp_path / "pics.npz"), "elr", noise="symmetric:0.2", epochs=1, batch=16, out=tmp_path / "run"
    ).path
    with review_of(Wish(str(run), "ann", top=60)) as found:
        row = int(found.session.queue.cards.rows[0])
        assert np.array_equal(found.deck.content.picture(str(row))[0], x[row])  # type: ignore[index]
        assert "x-picture" not in client(found).get(f"/thumb/{row}").headers
    np.savez(tmp_path / "pics.npz", allow_pickle=False, x=255 - x, y=y)
    with review_of(Wish(str(run), "ann", top=60), "keys and labels only, for the data has changed since") as found:
        assert client(found).get("/api/queue").json()["kind"] == "none"


def test_a_run_of_texts(tmp_path: Path, make_arrays: Callable[..., Any]) -> None:
    words = ["good fine nice", "bad awful poor"]
    rows = pd.DataFrame({"body": [f"{words[n % 2]} {n}" for n in range(60)], "label": [n % 2 for n in range(60)]})
    rows.to_csv(tmp_path / "t.csv", index=False)
    run = th.fit(str(tmp_path / "t.csv"), "elr", text="body", epochs=1, batch=16, out=tmp_path / "run").path
    with review_of(Wish(str(run), "ann", top=60)) as found:
        page = client(found)
        told = page.get("/api/queue").json()
        row = told["columns"]["row"][0]
        assert (told["kind"], page.get(f"/api/card/{row}").json()["text"]) == ("text", rows["body"][row])


def test_arrays_in_python(tmp_path: Path) -> None:
    run = run_of(tmp_path, None, issues())
    with pytest.warns(UserWarning, match="save them as .npz and name that with --data"):
        of_run(run, json.loads((run / "run.json").read_text()), None, KEYS)
