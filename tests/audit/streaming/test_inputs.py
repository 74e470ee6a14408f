"""Every kind of file is read as it is meant, and what cannot be meant is refused in one sentence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import thresher as th
from thresher.audit.streaming import find_label_issues_in_files as search

Call = Callable[..., Any]
NAMES = np.array(["dog", "cat", "eel"])  # not in sorted order


def mask(labels: object, probs: object, **how: Any) -> np.ndarray:
    found = search(labels, probs, chunk_rows=37, workers=2, **how)  # type: ignore[arg-type]
    assert found.mask is not None
    return found.mask


@pytest.fixture
def both(make: Call, saved: Call) -> tuple[np.ndarray, np.ndarray, np.ndarray, Path]:
    """Labels, probabilities, the expected flags, and the folder where both lie as .npy."""
    labels, p = make(300, 3)
    return labels, p, th.find_label_issues(labels, p), saved(labels, p)[0].parent


@pytest.mark.parametrize("kind", ["<f2", "<f4", ">f4", ">f8", "fortran"])
def test_npy(kind: str, both: Any, tmp_path: Path) -> None:
    labels, p, _, _ = both
    written = np.asfortranarray(p) if kind == "fortran" else p.astype(kind)
    np.save(tmp_path / "p.npy", written)
    same = written.astype(np.float32 if kind in ("<f2", "<f4", ">f4") else np.float64)
    np.testing.assert_array_equal(mask(tmp_path / "y.npy", tmp_path / "p.npy"), th.find_label_issues(labels, same))


@pytest.mark.parametrize(
    "form", ["int8", "one column", "from 5", "text", "float", "csv", "tsv", "parquet", "parquet text"]
)
def test_labels(form: str, both: Any, tmp_path: Path) -> None:
    labels, _, expected, _ = both
    names = np.array(["ant", "bee", "cat"])[labels]
    path = tmp_path / f"labels.{form.partition(' ')[0] if form.startswith(('csv', 'tsv', 'parquet')) else 'npy'}"
    if form == "csv":
        pd.DataFrame({"x": 1, "label": names}).to_csv(path, index=False)
    elif form == "tsv":
        pd.DataFrame({"label": labels + 5, "x": 1}).to_csv(path, index=False, sep="\t")
    elif form.startswith("parquet"):
        values = names if form.endswith("text") else labels
        pd.DataFrame({"label" if form.endswith("text") else "anything": values}).to_parquet(path, row_group_size=70)
    else:
        kinds = {"int8": labels.astype(np.int8), "one column": labels[:, None], "from 5": labels + 5, "text": names}
        np.save(path, kinds.get(form, labels.astype(np.float32)))
    np.testing.assert_array_equal(mask(path, tmp_path / "p.npy"), expected)


@pytest.mark.parametrize("form", ["columns", "prefixed", "list", "fixed list", "float32", "folder", "folder of npy"])
def test_probabilities(form: str, both: Any, tmp_path: Path) -> None:
    labels, p, _, _ = both
    np.save(tmp_path / "y.npy", NAMES[labels])
    order = np.argsort(NAMES)  # where no names stand, columns are the sorted classes
    written = p.astype(np.float32) if form == "float32" else p
    expected = th.find_label_issues(np.argsort(order)[labels], written[:, order])
    path = tmp_path / "in.parquet"
    if form in ("list", "fixed list"):
        import pyarrow
        import pyarrow.parquet

        column: Any = p[:, order].tolist()
        if form == "fixed list":
            column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(p[:, order].ravel()), 3)
        pyarrow.parquet.write_table(pyarrow.table({"probs": column}), path, row_group_size=80)
    elif form.startswith("folder"):
        path = tmp_path / "shards"
        path.mkdir()
        for number, low in enumerate(range(0, 300, 90)):
            part = p[low : low + 90]
            if form == "folder":
                pd.DataFrame(part, columns=NAMES).to_parquet(path / f"{number}.parquet")
            else:
                np.save(path / f"{number}.npy", part[:, order])
    else:
        names = [f"p_{name}" for name in NAMES] if form == "prefixed" else NAMES
        table = pd.DataFrame(written, columns=names)
        table.assign(key=range(300), predicted="cat").to_parquet(path, row_group_size=64)
    np.testing.assert_array_equal(mask(tmp_path / "y.npy", path), expected)


def test_an_index_of_pandas_is_no_class(both: Any, tmp_path: Path) -> None:
    labels, p, _, folder = both
    table = pd.DataFrame(p, columns=["0", "1", "2"]).set_index(np.arange(300)[::-1] ** 2)
    assert b"__index_level_0__" in table.to_parquet()
    table.to_parquet(tmp_path / "p.parquet")
    np.save(tmp_path / "y.npy", labels)
    found = mask(tmp_path / "y.npy", tmp_path / "p.parquet")
    np.testing.assert_array_equal(found, mask(folder / "y.npy", folder / "p.npy"))


def test_a_class_without_labels_needs_names(both: Any, tmp_path: Path) -> None:
    labels, p, _, folder = both
    wider = np.concatenate([p, np.zeros((300, 1))], axis=1)
    np.save(tmp_path / "p.npy", wider)
    with pytest.raises(th.UsageError, match=r"p.npy has 4 columns, and the labels have 3 classes: give one column"):
        search(folder / "y.npy", folder / "p.npy")
    found = mask(folder / "y.npy", folder / "p.npy", classes=["0", "1", "2", "3"])
    np.testing.assert_array_equal(found, th.find_label_issues(labels, wider))
    with pytest.raises(th.UsageError, match=r"y.npy holds '2', which is none of the 4 classes"):
        search(folder / "y.npy", folder / "p.npy", classes=["0", "1", "a", "b"])


def test_keys_that_differ_are_refused(both: Any, tmp_path: Path) -> None:
    labels, p, _, _ = both
    keys = [f"k{row}" for row in range(300)]
    pd.DataFrame({"key": keys, "label": labels}).to_csv(tmp_path / "y.csv", index=False)
    pd.DataFrame(p, columns=["0", "1", "2"]).assign(key=keys).to_parquet(tmp_path / "p.parquet")
    found = search(tmp_path / "y.csv", tmp_path / "p.parquet", issues=tmp_path / "a.csv")
    listed = pd.read_csv(tmp_path / "a.csv")
    assert (listed["key"] == "k" + listed["row"].astype(str)).all()
    assert found.suspects == listed["is_label_issue"].sum()
    keys[4], keys[5] = keys[5], keys[4]
    pd.DataFrame(p, columns=["0", "1", "2"]).assign(key=keys).to_parquet(tmp_path / "p.parquet")
    with pytest.raises(th.UsageError, match=r"^row 4 has the key 'k4' in .*y.csv and 'k5' in .*p.parquet: out of core"):
        search(tmp_path / "y.csv", tmp_path / "p.parquet", issues=tmp_path / "b.csv")
    assert not (tmp_path / "b.csv").exists()


def test_keys_in_some_files_only_are_refused(both: Any, tmp_path: Path) -> None:
    labels, p, _, _ = both
    (tmp_path / "p").mkdir()
    wide = pd.DataFrame(p, columns=["0", "1", "2"])
    wide[:100].assign(key=[f"k{row}" for row in range(100)]).to_parquet(tmp_path / "p" / "1.parquet")
    wide[100:].to_parquet(tmp_path / "p" / "2.parquet")
    np.save(tmp_path / "y.npy", labels)
    with pytest.raises(th.UsageError, match="1 of 2 files have a column 'key': give it to all, or to none"):
        search(tmp_path / "y.npy", tmp_path / "p", issues=tmp_path / "a.csv")


def spoil(what: str, labels: np.ndarray, p: np.ndarray, folder: Path) -> dict[str, Any]:  # noqa: C901, PLR0911, PLR0912
    """Write one bad input; what to call the search with, if not the two files."""
    y, q = folder / "y.npy", folder / "p.npy"
    if what in ("nan", "logits", "sum", "negative"):
        p[250] = {"nan": [np.nan, 1, 0], "logits": [3, -4, 2], "sum": [0.2, 0.2, 0.2], "negative": [1.1, -0.1, 0]}[what]
        np.save(q, p)
    elif what == "short":
        q.write_bytes(q.read_bytes()[:-9])
    elif what == "pickle":
        np.save(q, np.array([["a", 1]], dtype=object), allow_pickle=True)
    elif what == "text":
        q.write_text("nothing")
    elif what == "fewer":
        np.save(y, labels[:-1])
    elif what == "empty":
        np.save(y, labels[:0])
        np.save(q, p[:0])
    elif what == "one class":
        np.save(y, np.zeros_like(labels))
    elif what == "gap":
        np.save(y, np.where(labels == 1, 3, labels))
    elif what == "minus":
        np.save(y, labels - 1)
    elif what == "half":
        np.save(y, labels / 2)
    elif what == "no name":
        np.save(y, np.where(np.arange(300) == 8, "", "a"))
    elif what == "matrix":
        np.save(y, p)
    elif what == "vector":
        np.save(q, p[:, 0])
    elif what == "words":
        np.save(q, p.astype(str))
    elif what == "one column":
        np.save(q, p[:, :1])
    elif what == "order":
        (folder / "many").mkdir()
        for number in (2, 10):
            np.save(folder / "many" / f"part-{number}.npy", p[:150])
        return {"probs": folder / "many"}
    elif what == "mixed":
        (folder / "mixed").mkdir()
        np.save(folder / "mixed" / "0.npy", p[:150])
        np.save(folder / "mixed" / "1.npy", p[150:, :2])
        return {"probs": folder / "mixed"}
    elif what == "nothing there":
        (folder / "none").mkdir()
        return {"probs": folder / "none"}
    elif what == "no label":
        pd.DataFrame({"a": labels, "b": 1}).to_csv(folder / "y.csv", index=False)
        return {"labels": folder / "y.csv"}
    elif what == "strings":
        pd.DataFrame({"0": ["x"] * 300, "1": 1.0, "2": 0.0}).to_parquet(folder / "p.parquet")
        return {"probs": folder / "p.parquet"}
    elif what == "ragged":
        pd.DataFrame({"p": [[0.5, 0.5, 0.0]] * 299 + [[1.0]]}).to_parquet(folder / "p.parquet")
        return {"probs": folder / "p.parquet"}
    return {}


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("nan", r"p.npy: row 250 holds an empty, NaN or infinite value, as 1 of 300 rows do not fit: score it again"),
        ("logits", r"p.npy: row 250 goes from -4 to 3 \(sum 1\), as 1 of 300 rows do not fit: these look like logits"),
        ("sum", r"p.npy: row 250 sums to 0.6, as 1 of 300 rows do not fit: probabilities of one sample sum to 1"),
        ("negative", r"p.npy: row 250 goes from -0.1 to 1.1"),
        ("short", r"p.npy is shorter than its header says: it is damaged or cut short"),
        ("pickle", r"p.npy holds pickled Python objects, which could run code"),
        ("text", r"p.npy is damaged or no .npy file"),
        ("fewer", r"^there are 299 labels and 300 rows of probabilities"),
        ("empty", r"p.npy has no rows"),
        ("one class", r"every label in .*y.npy is '0': there must be labels of two classes or more"),
        ("gap", r"class 1 has no row in .*y.npy, though labels go from 0 to 3"),
        ("minus", r"y.npy holds '-1' in row \d+, which is no label"),
        ("half", r"y.npy holds '0.5' in row \d+, which is no label"),
        ("no name", r"y.npy holds '' in row 8, which is no label"),
        ("matrix", r"y.npy has shape \[300, 3\] where one value per row is needed"),
        ("vector", r"p.npy holds float64 of shape \[300\]: probabilities are numbers \[samples, classes\]"),
        ("words", r"p.npy holds <U\d+ of shape \[300, 3\]: probabilities are numbers"),
        ("one column", r"p.npy has the probabilities of one class: give a column for every class"),
        ("order", r"many has files whose order is in doubt, as part-10.npy and part-2.npy: write their numbers"),
        ("mixed", r"1.npy has other columns than .*0.npy"),
        ("nothing there", r"none holds no .npy or .parquet file"),
        ("no label", r"y.csv has no column 'label'"),
        ("strings", r"p.parquet has '0' where a probability is needed"),
        ("ragged", r"p.parquet has lists of other lengths than 3 in 'p'"),
    ],
)
def test_what_cannot_be_meant(what: str, pattern: str, both: Any, tmp_path: Path) -> None:
    labels, p, _, _ = both
    paths = {"labels": tmp_path / "y.npy", "probs": tmp_path / "p.npy"} | spoil(what, labels, p, tmp_path)
    with pytest.raises(th.UsageError, match=pattern) as caught:
        search(**paths)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("how", "pattern"),
    [
        ({"filter_by": "both_of"}, r"there is no filter_by 'both_of'"),
        ({"frac_noise": 2}, r"frac_noise is 2: it is a share"),
        ({"min_examples_per_class": -1}, r"min_examples_per_class is -1"),
        ({"num_to_remove_per_class": [1]}, r"num_to_remove_per_class must be 3 whole numbers"),
        ({"filter_by": "low_self_confidence", "frac_noise": 0.5}, r"frac_noise has no meaning for filter_by 'low_self"),
        ({"chunk_rows": 0}, r"chunk_rows is 0"),
        ({"workers": 0}, r"there are 0 workers"),
        ({"on": "gpu"}, r"there is no place 'gpu' to compute on: choose threads, processes, ray"),
        ({"out": "y.npy"}, r"y.npy exists: name another file"),
        ({"out": "none/y.npy"}, r"there is no folder .*none to write y.npy into"),
    ],
)
def test_settings_without_a_meaning(how: dict[str, Any], pattern: str, both: Any, tmp_path: Path) -> None:
    if "out" in how:
        how = {"out": tmp_path / how["out"]}
    with pytest.raises(th.UsageError, match=pattern):
        search(tmp_path / "y.npy", tmp_path / "p.npy", **how)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.npy", "y.npy"]


@pytest.mark.parametrize(("on", "module"), [("ray", "ray")])
def test_ray_that_is_missing(on: str, module: str, both: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(th.UsageError, match=r"Ray is not installed: pip install 'thresher\[ray\]'"):
        search(tmp_path / "y.npy", tmp_path / "p.npy", on=on)
