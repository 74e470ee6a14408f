"""What a run is measured by: named accuracies, the choice of an epoch, and how predictions on training rows move."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from thresher.audit.dynamics import memorisation
from thresher.audit.history import History
from thresher.engine import passes
from thresher.engine.step import Batch, Outputs

if TYPE_CHECKING:
    from thresher.engine.run import Run, Source

_CHUNK = 512
_WINDOW = 3
_REMEMBERED = ("agreed", "first", "forgotten")


@dataclass(frozen=True)
class Held:
    """Rows that are never trained on: the noisy validation split, or a clean test set.

    Attributes:
        source: where the inputs come from.
        rows: source rows, int64 ``[n]`` on the CPU.
        labels: int64 ``[n]`` on the device.
    """

    source: "Source"
    rows: Tensor
    labels: Tensor


def predict_rows(run: "Run", source: "Source", rows: Tensor) -> Tensor:
    """The run's class probabilities for source rows, ``[n, classes]`` on the device, without any view."""
    chunks = rows.split(_CHUNK)
    shown = source.open(chunks, ("plain",), 0)
    parts = [run.probabilities(*views.values()) for views in shown]
    return torch.cat(parts) if parts else torch.zeros(0, run.classes, device=run.device)


def feature_rows(run: "Run", source: "Source", rows: Tensor) -> Tensor:
    """What the last layer of the run's first predictor sees of source rows, float32 ``[n, F]`` on the CPU."""
    first = run.method.predictors(run)[0]
    shown = source.open(rows.split(_CHUNK), ("plain",), 0)
    return torch.cat([run.predict(first, *views.values()).features.cpu() for views in shown])


def recalled(run: "Run", epochs: int) -> History:
    """When each given label was learned, and how often it was forgotten, in so many monitored epochs."""
    counts = {name: run.table(f"monitor.{name}", dtype=torch.int32).full().cpu().numpy() for name in _REMEMBERED}
    last = run.table("monitor.predicted", dtype=torch.int64, fill=-1).full() == run.given
    return History(epochs, **counts, last=last.cpu().numpy())


def accuracy(run: "Run", held: Held) -> float:
    """Fraction of held rows predicted as labelled; each rank predicts its share."""
    rank, world = run.runtime.rank, run.runtime.world
    predicted = predict_rows(run, held.source, held.rows[rank::world]).argmax(1)
    right = (predicted == held.labels[rank::world]).sum().double()
    return float(run.runtime.mean(right)) * world / len(held.rows)


@dataclass
class Judge:
    """Measures a run after every epoch, and chooses the epoch to keep.

    Attributes:
        valid: the noisy held-out split, or None.
        test: a clean test set, or None.
        clean: true labels of the training rows, int64 ``[N]`` on the CPU, or None; for figures, methods never see them.
        monitor: predict every training row after each epoch.
        stop: the stopping rule of `Options`.
        patience: of the rule.
        history: one record per epoch.
    """

    valid: Held | None = None
    test: Held | None = None
    clean: Tensor | None = None
    monitor: bool = True
    stop: str = "never"
    patience: int = 10
    history: list[dict[str, Any]] = field(default_factory=list)

    def measure(self, run: "Run") -> dict[str, Any]:
        """Append and return the record of the epoch that just ended."""
        loss, steps = run.runtime.mean(run.totals).tolist()
        run.totals.zero_()
        record: dict[str, Any] = {
            "epoch": run.epoch,
            "loss": loss / max(steps, 1),
            "lr": run.rate(),
            "valid": accuracy(run, self.valid) if self.valid else None,
            "test": accuracy(run, self.test) if self.test else None,
        }
        if self.monitor:
            record |= self._monitor(run)
        self.history.append(record)
        return record

    def _monitor(self, run: "Run") -> dict[str, float | None]:
        """Predict the training rows, keep margins, losses and what was learned in tables, and count what moved."""
        run.position.enter(passes.AFTER)
        nets = tuple(run.method.predictors(run))
        margin, loss, predicted = run.scan(_margins(run), nets=nets)
        before = run.table("monitor.predicted", dtype=torch.int64, fill=-1)
        last = before.full()
        moved = last != predicted
        changes = None if run.epoch == 1 else float(moved.double().mean())
        learned = recalled(run, run.epoch - 1).after(predicted.cpu().numpy(), run.given.cpu().numpy())
        for name in _REMEMBERED:
            run.table(f"monitor.{name}", dtype=torch.int32).assign(torch.as_tensor(getattr(learned, name)))
        before.assign(predicted)
        flips = run.table("monitor.flips", dtype=torch.int64)
        if run.epoch > 1:
            flips.assign(flips.full() + moved)
        for name, now in (("monitor.margin", margin), ("monitor.loss", loss)):
            table = run.table(name)
            mean = table.full()
            table.assign(mean + (now - mean) / run.epoch)
        given = run.given
        return {
            "train": float((predicted == given).double().mean()),
            "changes": changes,
            **self._memorisation(predicted, given),
        }

    def _memorisation(self, predicted: Tensor, given: Tensor) -> dict[str, float | None]:
        if self.clean is None:
            return {}
        return memorisation(predicted.cpu().numpy(), given.cpu().numpy(), self.clean.numpy())

    @property
    def best_epoch(self) -> int | None:
        """The selected epoch, from 1; None before the first.

        By the noisy split: the highest mean of the last three evaluations, ties to the later epoch. With the stopping
        rule `changes`: the fewest changed training predictions, averaged over three epochs. Without both: the last.
        """
        if not self.history:
            return None
        if self.stop == "changes":
            quiet = smoothed([record.get("changes") for record in self.history])
            known = [(value, k) for k, value in enumerate(quiet) if value is not None]
            return min(known)[1] + 1 if known else len(self.history)
        if self.history[0]["valid"] is None:
            return len(self.history)
        means = smoothed([record["valid"] for record in self.history])
        return max((value or 0.0, k) for k, value in enumerate(means))[1] + 1

    @property
    def stopped(self) -> bool:
        """Whether the stopping rule ends the run here."""
        best = self.best_epoch
        return self.stop != "never" and best is not None and len(self.history) - best >= self.patience

    def scores(self) -> dict[str, float | int | None]:
        """The named test accuracies: last, last10 (mean of the last ten), selected, and oracle (leaks the test set)."""
        tests = [record["test"] for record in self.history]
        best = self.best_epoch
        if best is None or tests[0] is None:
            return {"last": None, "last10": None, "selected": None, "oracle": None, "best_epoch": best}
        return {
            "last": tests[-1],
            "last10": sum(tests[-10:]) / len(tests[-10:]),
            "selected": tests[best - 1],
            "oracle": max(tests),
            "best_epoch": best,
        }


def _margins(run: "Run") -> Any:
    """A scan function: margin of the given label in log-probability, its loss, and the predicted class."""

    def measure(outputs: tuple[Outputs, ...], batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        stacked = torch.stack([torch.log_softmax(one.logits[:, : run.classes], 1) for one in outputs])
        log_p = stacked.logsumexp(0) - torch.log(torch.tensor(float(len(outputs))))
        own = run.given[batch.index][:, None]
        chosen = log_p.gather(1, own).squeeze(1)
        others = log_p.scatter(1, own, -torch.inf).amax(1)
        return chosen - others, -chosen, log_p.argmax(1)

    return measure


def smoothed(values: Sequence[float | None]) -> list[float | None]:
    """The mean of each value and up to two before it; None where any of them is unknown.

    Example:
        >>> smoothed([None, 0.5, 0.25, 0.75])
        [None, 0.5, 0.375, 0.5]
    """
    result: list[float | None] = []
    for k in range(len(values)):
        window = [v for v in values[max(0, k - _WINDOW + 1) : k + 1] if v is not None]
        mean = round(sum(window) / len(window), 12) if window else 0.0  # equal means must tie, whatever their order
        result.append(None if values[k] is None else mean)
    return result
