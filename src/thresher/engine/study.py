"""A study: the trainings a combination of methods needs, over one noise draw and one held-out split."""

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from thresher.disk import plain_disk_errors, write_atomically
from thresher.engine import checkpoint, state
from thresher.engine.checkpoint import Checkpoints
from thresher.engine.combine import Combination
from thresher.engine.evaluate import Held, Judge, predict_rows
from thresher.engine.loop import train
from thresher.engine.method import Method, check_classes, check_options, filled_slots
from thresher.engine.options import Options, resolve
from thresher.engine.run import Run, Source
from thresher.engine.runtime import Runtime
from thresher.errors import ThresherError

_MONITOR_UP_TO = 20_000


@dataclass(frozen=True)
class Material:
    """What every training of a study shares.

    Attributes:
        source: inputs of all given rows.
        rows: source rows to train on, int64 ``[N]``.
        labels: their given labels, int64 ``[N]``.
        classes: number of classes.
        factory: makes a network with so many outputs.
        valid: the noisy held-out split, or None.
        test: a clean test set, or None.
        clean: true labels of the training rows for figures, or None; methods never see them.
        trusted: source rows and correct labels of trusted samples, or None.
        weights: of the training rows, float32 ``[N]``, or None.
        targets: soft labels of the training rows, float32 ``[N, classes]``, or None.
    """

    source: Source
    rows: Tensor
    labels: Tensor
    classes: int
    factory: Callable[[int], nn.Module]
    valid: Held | None = None
    test: Held | None = None
    clean: Tensor | None = None
    trusted: tuple[Tensor, Tensor] | None = None
    weights: Tensor | None = None
    targets: Tensor | None = None


@dataclass
class Study:
    """Fits a combination of methods, in one training or in several.

    Attributes:
        method: the combination.
        options: of every training; `fit` may change some.
        material: what the trainings share.
        runtime: processes and device.
        folder: the run folder, or None to keep everything in memory.
        report: called as ``report(fit name or None, record)`` after each epoch.
        judges: the judge of each fit, by name.
    """

    method: Combination
    options: Options
    material: Material
    runtime: Runtime = field(default_factory=Runtime)
    folder: Path | None = None
    report: Callable[[str | None, dict[str, Any]], None] = lambda name, record: None
    warn: Callable[[str], None] = lambda sentence: None
    judges: dict[str | None, Judge] = field(default_factory=dict)

    @property
    def rest(self) -> tuple[Method, ...]:
        """The methods of the combination that do not fill `fits`."""
        return tuple(m for m in self.method.methods if "fits" not in filled_slots(m))

    def swapped(self, old: Method, new: Method) -> tuple[Method, ...]:
        """The methods of the combination, one of them replaced by what its trainings made of it."""
        return tuple(new if m is old else m for m in self.method.methods)

    def posterior(self, run: Run) -> Tensor:
        """What a finished training says of its rows at the selected epoch, un-augmented: float32 ``[N, C]``, CPU."""
        return predict_rows(use_best(run), run.source, run.rows).cpu()

    def run(self) -> Run:
        """Do everything the methods ask for, and return the training that is the result."""
        for method in self.method.methods:
            check_options(method, self.options)
            check_classes(method, self.material.classes)
        if self.method.needs_trusted and self.material.trusted is None:
            raise ThresherError(
                f"{self.method.name} learns from trusted samples and got none: pass trusted= or --trusted, "
                "for instance per-class:10"
            )
        return self.method.fits(self)

    def fit(
        self,
        name: str | None,
        *methods: Method,
        keep: Tensor | None = None,
        start: Run | None = None,
        labels: Tensor | None = None,
        tables: Mapping[str, Tensor] | None = None,
        values: Mapping[str, Tensor] | None = None,
        valid: Held | None = None,
        **options: Any,
    ) -> Run:
        """One training; a finished one is loaded, an unfinished one resumes.

        Args:
            name: of the child fit, kept in ``fits/<name>``; None for the training that is the result.
            methods: their `epoch` slots and below count; `fits` does not.
            keep: mask ``[N]`` of the rows to train on; the others stay in every scan and table.
            start: a run whose weights this one starts from.
            labels: labels in force at the start, int64 ``[N]``; default: the given ones.
            tables: first contents of tables, each ``[N, ...]``.
            values: first contents of values.
            valid: a noisy split of its own; default the study's.
            options: changes to the study's options.
        """
        settings = resolve(options, self.options)
        run = self._make(name, Combination(methods), settings, keep)
        judge = self.judges[name] = self._judge(settings, valid or self.material.valid)
        checkpoints = self._checkpoints(name, settings)
        if not self._resume(run, judge, checkpoints):
            if start is not None:
                state.load_weights(run, state.weights(start))
            if labels is not None:
                run.labels.assign(labels.to(run.device))
            for key, rows in (tables or {}).items():
                run.table(key, tuple(rows.shape[1:]), dtype=rows.dtype).assign(rows.to(run.device))
            for key, value in (values or {}).items():
                run.value(key, value)
        metrics = self._metrics(name, judge)
        with contextlib.nullcontext() if checkpoints is None else checkpoints.listening():
            train(run, judge, checkpoints, lambda record: self._record(name, metrics, record))
        return run

    def _metrics(self, name: str | None, judge: Judge) -> Path | None:
        """The fit's metrics file, cut back to what its checkpoint knows."""
        folder = self._folder(name)
        if folder is None or self.runtime.rank != 0:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps(record) + "\n" for record in judge.history)
        write_atomically(folder / "metrics.jsonl", lines.encode())
        return folder / "metrics.jsonl"

    def _record(self, name: str | None, metrics: Path | None, record: dict[str, Any]) -> None:
        if metrics is not None:
            with plain_disk_errors(metrics), metrics.open("a") as file:
                file.write(json.dumps(record) + "\n")
        self.report(name, record)

    def _folder(self, name: str | None) -> Path | None:
        return self.folder if self.folder is None or name is None else self.folder / "fits" / name

    def _make(self, name: str | None, method: Combination, settings: Options, keep: Tensor | None) -> Run:
        material = self.material
        return Run(
            method,
            settings,
            source=material.source,
            rows=material.rows,
            labels=material.labels,
            classes=material.classes,
            factory=material.factory,
            runtime=self.runtime,
            kept=None if keep is None else keep.cpu(),
            trusted=material.trusted,
            weights=material.weights,
            targets=material.targets,
            folder=self._folder(name),
        )

    def _judge(self, settings: Options, valid: Held | None) -> Judge:
        small = len(self.material.rows) <= _MONITOR_UP_TO
        watch = small if settings.monitor is None else settings.monitor
        return Judge(
            valid=valid,
            test=self.material.test,
            clean=self.material.clean,
            monitor=watch or settings.stop == "changes",
            stop=settings.stop,
            patience=settings.patience,
        )

    def _checkpoints(self, name: str | None, settings: Options) -> Checkpoints | None:
        folder = self._folder(name)
        if folder is None:
            return None
        return Checkpoints(folder, settings.keep_checkpoints, settings.checkpoint_minutes)

    def _resume(self, run: Run, judge: Judge, checkpoints: Checkpoints | None) -> bool:
        """Restore the newest whole checkpoint into the run; False when there is none."""
        if checkpoints is None:
            return False
        newest, passed = checkpoints.newest()
        for sentence in passed:
            self.warn(sentence)
        if newest is None:
            return False
        judge.history = checkpoint.read(run, newest)["history"]
        best = checkpoints.folder / str(judge.best_epoch)
        if best == newest and self.runtime.rank == 0:
            checkpoints.point_best_at(best)  # a kill may have come between the checkpoint and its link
        run.best_weights = self._best_weights(best)
        return True

    def _best_weights(self, best: Path) -> dict[str, Tensor] | None:
        """The selected epoch's weights; without them the run goes on, and a later epoch can be selected."""
        if not best.exists():
            return None
        try:
            checkpoint.read_json(best)
            return checkpoint.read_weights(best)
        except ThresherError as error:
            self.warn(f"the selected epoch cannot be loaded, so the current weights stand in for it: {error}")
            return None


def use_best(run: Run) -> Run:
    """Put the weights of the selected epoch into the run, where there are any."""
    if run.best_weights is not None:
        state.load_weights(run, run.best_weights)
    return run
