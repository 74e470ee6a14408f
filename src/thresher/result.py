"""A finished training: its scores, its suspects, and a model that predicts."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from thresher import methods as zoo
from thresher import nets
from thresher.audit.scores import detection
from thresher.data import Data
from thresher.data.arrays import read_inputs
from thresher.engine import checkpoint, state
from thresher.engine.combine import Combination
from thresher.engine.evaluate import Judge
from thresher.engine.options import resolve
from thresher.engine.run import Run
from thresher.errors import UsageError
from thresher.noise import Noise

if TYPE_CHECKING:
    from thresher.report import RunView

_CHUNK = 1024
FORMAT = 1
"""Of run folders; another one is refused."""


class Model(nn.Module):
    """A run's predictors behind one call: raw inputs in, class probabilities out.

    Args:
        run: with the weights to predict with.
        moments: mean and standard deviation that the inputs are normalised by.
        is_image: whether the inputs are images, 0..255, ``[B, C, H, W]``, or features ``[B, D]``.
    """

    def __init__(self, run: Run, moments: tuple[Tensor, Tensor], is_image: bool) -> None:
        super().__init__()
        shape = (-1, 1, 1) if is_image else (-1,)
        self.mean = nn.Buffer(moments[0].float().view(shape))
        self.std = nn.Buffer(moments[1].float().view(shape))
        self.nets = nn.ModuleList([run.network(net) for net in run.method.predictors(run)])
        self.classes = run.classes

    def forward(self, x: Tensor) -> Tensor:
        """Class probabilities, float32 ``[B, classes]``."""
        x = (x.float() - self.mean) / self.std
        return torch.stack([torch.softmax(net(x)[1][:, : self.classes], 1) for net in self.nets]).mean(0)


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
    def method(self) -> str:
        """The methods' names as typed."""
        return ",".join(one["name"] for one in self.run["method"])

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
        issues = self._finished()
        named = issues["suggested"].where(issues["is_label_issue"], issues["given"])
        return pd.Series(named.to_numpy(), index=issues["key"].to_numpy(), name="label")

    def _finished(self) -> pd.DataFrame:
        if self.issues is None:
            raise UsageError(f"{self.path} is not finished: go on with thresher train --resume {self.path}")
        return self.issues

    @cached_property
    def model(self) -> Model:
        """The selected epoch's networks as one torch module, in evaluation mode, on the CPU."""
        folder = checkpoint.Checkpoints(self.path).selected()
        stored = checkpoint.read_json(folder)["extra"]
        methods = [zoo.method(one["name"], **one["fields"]) for one in stored["methods"]]
        facts, options = self.run["data"], resolve(self.run["options"])
        shape = tuple(facts["shape"])
        run = Run(
            Combination(methods),
            options,
            source=_Nothing(),
            rows=torch.zeros(0, dtype=torch.int64),
            labels=torch.zeros(0, dtype=torch.int64),
            classes=len(facts["classes"]),
            factory=lambda outputs: nets.build(options.net, shape, outputs),
        )
        state.load_weights(run, checkpoint.read_weights(folder))
        mean, std = (torch.tensor(self.run["moments"][name], dtype=torch.float64) for name in ("mean", "std"))
        return Model(run, (mean, std), is_image=len(shape) == 3).eval()

    def predict_proba(self, x: object) -> np.ndarray:
        """Class probabilities, float32 ``[n, classes]``.

        Args:
            x: images or features as they were trained on: ``[n, H, W]`` or ``[n, H, W, C]`` uint8 (or float in 0..1),
                or ``[n, D]`` float.

        Raises:
            UsageError: inputs of another shape.
        """
        inputs = read_inputs(x, "x")
        if tuple(inputs.shape[1:]) != tuple(self.run["data"]["shape"]):
            raise UsageError(
                f"x has samples of the shape {tuple(inputs.shape[1:])}, and the run was trained on "
                f"{tuple(self.run['data']['shape'])}"
            )
        with torch.no_grad():
            parts = [self.model(part) for part in torch.split(inputs, _CHUNK)]
        return np.asarray(torch.cat(parts).numpy())

    def predict(self, x: object) -> np.ndarray:
        """Class names, ``[n]``; see `predict_proba`."""
        names = np.array(self.run["data"]["classes"])
        return np.asarray(names[self.predict_proba(x).argmax(1)])

    def summary(self) -> dict[str, Any]:
        """The document of ``thresher train --json``."""
        noise = self.noise
        names = ("precision", "recall", "f1")
        found = self.detections[0] if self.detections else None
        suspects = self._finished()["is_label_issue"].mean()
        return {
            "run": str(self.path),
            "method": self.method,
            **self.scores,
            "noise": {"estimated": float(suspects), "realised": None if noise is None else noise.realised},
            "detection": None if found is None else {"method": found["name"], **{name: found[name] for name in names}},
            "seconds": round(self.seconds, 2),
        }

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
            sees_clean=self.run["trusted"] is not None,
            history=self.history,
            issues=self._finished(),
        )

    def report(self, data: Data | None = None) -> Path:
        """Write `report.html` and its figures into the run folder.

        Args:
            data: the data the run was trained on, for pictures of the suspects.
        """
        return write_report([self], self.path / "report.html", title=self.path.name, data=data)


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


class _Nothing:
    """The source of a run that is loaded to predict: it has no training rows."""

    def open(self, batches: Sequence[Tensor], views: Sequence[str], seed: int) -> Any:
        """No batches."""
        return iter(())


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


def read_issues(path: Path) -> pd.DataFrame:
    """The table of issues with names as text: a class may be called 1, or NA."""
    table = pd.read_csv(path, dtype=dict.fromkeys(("key", "given", "suggested", "reasons"), str), keep_default_na=False)
    for name in table.columns[table.columns.str.startswith(("score_", "p_", "label_quality"))]:
        table[name] = pd.to_numeric(table[name], errors="coerce")
    return table


def records(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; a last one that was cut off, by a kill or a full disk, is left out."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def write_report(
    results: Sequence[Result],
    path: Path,
    *,
    title: str,
    data: Data | None = None,
    chosen: int = 0,
    beside: Sequence[dict[str, Any]] = (),
) -> Path:
    """One report over several runs of the same data.

    Args:
        results: finished runs.
        path: of the HTML file.
        title: the heading.
        data: for pictures of the suspects, or None.
        chosen: the run whose suspects are shown.
        beside: further entries for the table of detectors, as in `Result.detections`.
    """
    from thresher import report  # brings matplotlib, which takes a second

    first = results[chosen]
    facts, noise = first.run["data"], first.noise
    names = np.array(facts["classes"])
    return report.write(
        path,
        report.Report(
            title=title,
            data=f"{facts['name']}: {facts['rows']:,} labelled samples, {len(names)} classes",
            classes=facts["classes"],
            runs=[result.view() for result in results],
            chosen=chosen,
            detections=[*first.detections, *beside],
            noise=None if noise is None else _noise_facts(noise),
            truth=None
            if noise is None or data is None
            else dict(zip(data.train.keys, names[noise.clean], strict=True)),
            image=None if data is None else _pictures(data),
            command=first.run["command"],
            versions=first.run["versions"],
            test_size=facts["test"] or None,
        ),
    )


def _noise_facts(noise: Noise) -> dict[str, Any]:
    return {
        "generator": noise.generator,
        "nominal": noise.nominal,
        "realised": noise.realised,
        "seed": noise.seed,
        "matrix": noise.matrix,
    }


def _pictures(data: Data) -> Callable[[int], np.ndarray | None]:
    def picture(row: int) -> np.ndarray | None:
        if not data.is_image:
            return None
        image = data.train.inputs[row].numpy()
        return image[0] if len(image) == 1 else image.transpose(1, 2, 0)

    return picture
