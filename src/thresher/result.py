"""A finished training: its scores, its suspects, and a model that predicts."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from thresher import data as sources
from thresher import methods as zoo
from thresher.audit.issues import counted
from thresher.audit.scores import detection
from thresher.data import Data, Lazy, Reader, Reading
from thresher.data.arrays import DAMAGED, ArrayReader
from thresher.disk import write_atomically
from thresher.engine.evaluate import Judge
from thresher.errors import ThresherError, UsageError
from thresher.model import Model, export, load_model
from thresher.noise import Noise

if TYPE_CHECKING:
    from thresher.report import RunView

_CHUNK = 512
FORMAT = 2
"""Of run folders; another one is refused."""

TEST = "test.csv"
"""The file of a run folder that holds what the selected epoch predicts for the test set."""

READER = "reader.npz"
"""The file of a run folder that says how more inputs are read."""

CHANGES = "label-changes.csv"
"""The file of a run folder that lists the labels which a label file changed."""


@dataclass(frozen=True, eq=False)
class Result:
    """What `fit` returns and `load` reads, all of it from the run folder.

    Attributes:
        path: the run folder.
        run: the content of `run.json`.
        history: one row per epoch of the training that is the result.
        issues: every given row, worst first, as in `issues.csv`; None while the run is unfinished.
    """

    path: Path
    run: Mapping[str, Any]
    history: pd.DataFrame
    issues: pd.DataFrame | None

    @property
    def kind(self) -> str:
        """Whether the run trained a model ("train") or only cross-fitted folds ("find")."""
        return str(self.run["request"]["kind"])

    @property
    def method(self) -> str:
        """The methods' names as typed, or that of the classifier that judged the folds."""
        model = str(self.run["request"].get("model", "net"))
        return model if model != "net" else ",".join(one["name"] for one in self.run["method"])

    @cached_property
    def scores(self) -> dict[str, Any]:
        """The named test accuracies and the selected epoch; None where unknown."""
        options = self.run["options"]
        judge = Judge(stop=options["stop"], patience=options["patience"], history=records(self.path / "metrics.jsonl"))
        return judge.scores()

    @property
    def last(self) -> float | None:
        """Test accuracy after the last epoch."""
        return _optional(self.scores["last"])

    @property
    def last10(self) -> float | None:
        """Mean test accuracy of the last ten epochs."""
        return _optional(self.scores["last10"])

    @property
    def selected(self) -> float | None:
        """Test accuracy at the epoch that the noisy validation split selects."""
        return _optional(self.scores["selected"])

    @property
    def oracle(self) -> float | None:
        """The best test accuracy of any epoch; it leaks the test set, so it is for figures only."""
        return _optional(self.scores["oracle"])

    @property
    def selected_valid(self) -> float | None:
        """Accuracy on the noisy validation split, averaged over the three epochs up to the selected one."""
        best = self.scores["best_epoch"]
        if best is None or self.history["valid"].isna().any():
            return None
        return float(np.mean(self.history["valid"].iloc[max(0, best - 3) : best]))

    @cached_property
    def per_class(self) -> dict[str, tuple[int, int]] | None:
        """By class, the test samples that the selected epoch predicts right, and all of them; None without test set."""
        path = self.path / TEST
        if not path.exists():
            return None
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        right = (table["label"] == table["predicted"]).groupby(table["label"]).agg(["sum", "size"])
        return {str(name): (int(row["sum"]), int(row["size"])) for name, row in right.iterrows()}

    @property
    def seconds(self) -> float:
        """Training time of all fits."""
        files = [self.path / "metrics.jsonl", *sorted(self.path.glob("fits/*/metrics.jsonl"))]
        return float(sum(record["seconds"] for file in files for record in records(file)))

    @cached_property
    def noise(self) -> Noise | None:
        """The noise that was put in, or None."""
        path = self.path / "noise.npz"
        return Noise.load(path) if path.exists() else None

    @cached_property
    def detections(self) -> list[dict[str, Any]]:
        """How good each witness is, the chosen one first; empty where the truth is unknown."""
        if self.issues is None or self.noise is None:
            return []
        names = np.asarray(self.noise.classes, dtype=object)
        wrong = names[self.noise.clean][self.issues["row"]] != self.issues["given"].to_numpy(dtype=object)
        columns = [name for name in self.issues.columns if name.startswith("score_")]
        scores = {name.removeprefix("score_"): self.issues[name].to_numpy(dtype=float) for name in columns}
        return [{"name": name, **detection(score > 0, score, wrong)} for name, score in scores.items()]

    @property
    def suggested_labels(self) -> pd.Series:
        """The label each row should have, class names by key: suggested where it is an issue, given elsewhere."""
        issues = self.finished()
        named = issues["suggested"].where(issues["is_label_issue"], issues["given"])
        return pd.Series(named.to_numpy(), index=issues["key"].to_numpy(), name="label")

    def finished(self) -> pd.DataFrame:
        """The issues.

        Raises:
            UsageError: the run is not finished and has none.
        """
        if self.issues is None:
            raise UsageError(f"{self.path} is not finished: go on with thresher {self.kind} --resume {self.path}")
        return self.issues

    @cached_property
    def model(self) -> Model:
        """The selected epoch's networks as one torch module, in evaluation mode, on the CPU."""
        if self.kind == "find":
            raise UsageError(f"{self.path} only looked for wrong labels and holds no model: train one, then predict")
        return load_model(self.path, self.run)

    @cached_property
    def reader(self) -> Reader:
        """Reads new inputs in the way the training data were read."""
        path = self.path / READER
        if not path.exists():
            return ArrayReader(tuple(self.run["data"]["shape"]))
        return read_reader(path)

    def predictions(
        self, source: object, *, reading: Reading | None = None, root: str | Path | None = None
    ) -> pd.DataFrame:
        """What the model says of each row: ``key, predicted``, and one probability column per class.

        The columns have the names of the classes, with ``p_`` before them where a class is called key or predicted.

        Args:
            source: whatever the training data could be, without labels: a folder, a path of a table or .npz file,
                arrays, a data frame, a list of texts or images; or a known name, of which the test set is taken.
            reading: the columns of keys, texts or paths; default as in training.
            root: the folder of official data files.

        Raises:
            UsageError: it cannot be read, or does not fit what was trained on.
        """
        model = self.model
        inputs, keys = self._inputs(source, reading, root)
        with torch.no_grad():
            chunks = torch.arange(len(keys)).split(_CHUNK)
            parts = [model(inputs[rows] if isinstance(inputs, Tensor) else inputs.read(rows)) for rows in chunks]
        names = self.run["data"]["classes"]
        probabilities = torch.cat(parts).numpy()
        predicted = np.asarray(names, dtype=object)[probabilities.argmax(1)]
        taken = {"key", "predicted"}
        columns = [f"p_{name}" for name in names] if taken & set(names) else names
        known = pd.DataFrame({"key": keys, "predicted": predicted})
        return pd.concat([known, pd.DataFrame(probabilities, columns=columns)], axis=1)

    def _inputs(
        self, source: object, reading: Reading | None, root: str | Path | None
    ) -> tuple[Tensor | Lazy, np.ndarray]:
        if isinstance(source, str) and source in sources.NAMES:
            data = sources.load(source, root=root)
            samples = data.test or data.train
            if tuple(samples.inputs.shape[1:]) != tuple(self.run["data"]["shape"]):
                raise UsageError(
                    f"{source} has samples of the shape {tuple(samples.inputs.shape[1:])}, and the run was trained on "
                    f"{tuple(self.run['data']['shape'])}"
                )
            return samples.inputs, samples.keys
        return self.reader.read(source, reading or Reading(**self.run["request"]["reading"]))

    def predict_proba(self, x: object) -> np.ndarray:
        """Class probabilities, float32 ``[n, classes]``.

        Args:
            x: whatever the run was trained on: images ``[n, H, W]`` or ``[n, H, W, C]`` uint8 (or float in 0..1),
                features ``[n, D]``, a data frame, a list of texts, a folder or a list of image files.

        Raises:
            UsageError: inputs of another kind or shape.
        """
        return self.predictions(x).iloc[:, 2:].to_numpy(dtype=np.float32)

    def predict(self, x: object) -> np.ndarray:
        """Class names, ``[n]``; see `predict_proba`."""
        return self.predictions(x)["predicted"].to_numpy(dtype=str)

    def export(self, path: str | Path, kind: str = "torch") -> Path:
        """Write the model to a file that runs without Thresher; see `thresher.model.export`."""
        return export(self.model, self.run, Path(path), kind)

    def summary(self) -> dict[str, Any]:
        """The document of ``thresher train --json``, or of ``thresher find --json``."""
        noise, issues = self.noise, self.finished()
        names = ("precision", "recall", "f1")
        found = self.detections[0] if self.detections else None
        scores = self.scores if self.kind == "train" else counted(issues)
        return {
            "run": str(self.path),
            "method": self.method,
            **scores,
            "noise": {
                "estimated": float(issues["is_label_issue"].mean()),
                "realised": None if noise is None else noise.realised,
            },
            "detection": None if found is None else {"method": found["name"], **{name: found[name] for name in names}},
            "seconds": round(self.seconds, 2) or None,  # a classifier records none
        }

    def in_words(self) -> list[str]:
        """What came out, in a few plain sentences."""
        from thresher.report import words  # brings matplotlib, which takes a second

        return words.summary(self.finished(), self.run["data"]["classes"])

    def view(self) -> "RunView":
        """What a report shows of this run."""
        from thresher.report import RunView  # brings matplotlib, which takes a second

        family = {cls.__name__: getattr(cls, "family", "") for cls in (zoo.load(n["name"]) for n in self.run["method"])}
        methods = [zoo.method(one["name"], **one["fields"]) for one in self.run["method"]]
        return RunView(
            title=self.method,
            family=next(iter(family.values()), "baseline"),
            settings=", ".join(map(repr, methods)),
            **self.scores,
            seconds=self.seconds,
            sees_clean=self.run["request"]["trusted"] is not None,
            history=self.history,
            issues=self.finished(),
            per_class=self.per_class,
            flips=self._flips(),
        )

    def _flips(self) -> pd.Series | None:
        issues = self.finished()
        if "flips" not in issues:
            return None
        known = issues.loc[issues["flips"].notna(), ["row", "flips"]]
        return pd.Series(known["flips"].to_numpy(dtype=np.int64), index=known["row"].to_numpy())

    def report(self, data: Data | None = None) -> Path:
        """Write `report.html` and its figures into the run folder.

        Args:
            data: the data the run was trained on, for pictures of the suspects.
        """
        from thresher.reporting import write_report  # brings matplotlib, which takes a second

        return write_report([self], self.path / "report.html", title=self.path.name, data=data)


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


def read_run(folder: str | Path) -> dict[str, Any]:
    """The `run.json` of a run folder.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    path = Path(folder) / "run.json"
    try:
        stored: dict[str, Any] = json.loads(path.read_text())
        version = stored["format_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder} is no run: it holds no readable run.json") from error
    if version != FORMAT:
        raise UsageError(f"{folder} has the format {version}, and this version of Thresher reads {FORMAT}")
    return stored


def read_changes(folder: Path) -> pd.DataFrame | None:
    """What the label file of a run changed: ``key, row, given, label`` as text; None without such a file."""
    path = folder / CHANGES
    if not path.exists():
        return None
    return pd.read_csv(path, dtype={"key": str, "given": str, "label": str}, keep_default_na=False)


def write_reader(path: Path, reader: Reader) -> None:
    """Store how more inputs are read: plain values and arrays, no pickles."""
    facts, arrays = reader.facts()
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, about=np.array(json.dumps(facts)), **arrays)
    write_atomically(path, content.getvalue())


def read_reader(path: Path) -> Reader:
    """What `write_reader` stored.

    Raises:
        ThresherError: the file is damaged.
    """
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return sources.reader_from(json.loads(str(arrays.pop("about"))), arrays)
    except DAMAGED as error:
        raise ThresherError(f"{path} is damaged ({error}): train again to predict with this run") from error


def load(path: str | Path) -> Result:
    """Read a run folder.

    Raises:
        UsageError: the folder holds no run.
    """
    folder = Path(path)
    run = read_run(folder)
    issues = folder / "issues.csv"
    return Result(
        folder, run, pd.DataFrame(records(folder / "metrics.jsonl")), read_issues(issues) if issues.exists() else None
    )


_TEXTS = ("key", "given", "suggested", "reasons", "kind", "duplicate_of")


def read_issues(path: Path) -> pd.DataFrame:
    """The table of issues with names as text: a class may be called 1, or NA."""
    table = pd.read_csv(path, dtype=dict.fromkeys(_TEXTS, str), keep_default_na=False)
    for name in table.columns[table.columns.str.startswith(("score_", "p_", "label_quality", "flips"))]:
        table[name] = pd.to_numeric(table[name], errors="coerce")
    return table


def records(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; a last one that was cut off, by a kill or a full disk, is left out."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
