"""Runs on toy data for the tests of the engine, and jobs for two processes."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from thresher.engine.checkpoint import Checkpoints
from thresher.engine.combine import Combination
from thresher.engine.evaluate import Judge
from thresher.engine.loop import train
from thresher.engine.method import Method
from thresher.engine.options import Options
from thresher.engine.run import Run
from thresher.engine.runtime import PeerLost, Runtime, leave
from thresher.engine.study import Material, Study
from thresher.testing.compare import live, shared
from thresher.testing.processes import join
from thresher.testing.toy import TOY_OPTIONS, Stopped, ToyStudy, toy, toy_study


def toy_run(
    *methods: Method, options: Options = TOY_OPTIONS, material: Material | None = None, runtime: Runtime | None = None
) -> Run:
    """A fresh run on toy data."""
    chosen = material or toy()
    return Run(
        Combination(methods),
        options,
        source=chosen.source,
        rows=chosen.rows,
        labels=chosen.labels,
        classes=chosen.classes,
        factory=chosen.factory,
        runtime=runtime,
        trusted=chosen.trusted,
    )


def trained(*methods: Method, folder: Path | None = None, **changes: Any) -> tuple[Run, Judge]:
    """A run trained with some options changed, and its judge."""
    material = changes.pop("material", None)
    study = toy_study(*methods, material=material, options=replace(TOY_OPTIONS, **changes), folder=folder)
    return study.run(), study.judges[None]


def straight(runtime: Runtime, methods: tuple[Method, ...], options: Options, material_size: int) -> dict[str, Any]:
    """Train on this rank, without batch norm, and return the live state."""
    study = toy_study(*methods, material=toy(material_size, batch_norm=False), options=options, runtime=runtime)
    return shared(live(study.run(), study.judges[None]))


def stopped_everywhere(runtime: Runtime, methods: tuple[Method, ...], folder: str) -> tuple[dict[str, Any], int]:
    """Train on this rank with a stop after every checkpoint; the live state at the end, and the number of stops."""
    stops = 0
    while True:
        study = toy_study(*methods, runtime=runtime, folder=Path(folder), stop_after=1)
        try:
            return shared(live(study.run(), study.judges[None])), stops
        except Stopped:
            stops += 1
            runtime.barrier()


def uninterrupted(runtime: Runtime, methods: tuple[Method, ...]) -> dict[str, Any]:
    """The same training without stops."""
    study = toy_study(*methods, runtime=runtime)
    return shared(live(study.run(), study.judges[None]))


def visits(runtime: Runtime, size: int, batch: int, split: Tensor | None) -> Tensor:
    """How often each row was written and how often it came real in one pass, ``[N, 2]``."""
    run = toy_run(options=replace(TOY_OPTIONS, batch=batch), material=toy(size), runtime=runtime)
    table = run.table("visits", width=2)
    total = torch.zeros(())
    for one in run.batches(*(() if split is None else (split,))):
        table[one.index] = table[one.index] + torch.tensor([1.0, 0.0])
        logits = run.forward(0, one.view("weak")).logits
        run.update(logits.square().mean())
        total += run.share
    return table.full()


def gathered(runtime: Runtime, rows: Tensor) -> tuple[Tensor, Tensor, float]:
    """Gather, average and maximise something that differs between ranks."""
    mine = rows[runtime.rank :: runtime.world]
    return (
        runtime.gather(mine, len(rows)),
        runtime.mean(torch.tensor(float(runtime.rank))),
        runtime.maximum(runtime.rank),
    )


def one_hears(runtime: Runtime, folder: str) -> tuple[str, list[str]]:
    """A signal reaches the second process only; both must stop at the same place."""
    run = toy_run(runtime=runtime, options=replace(TOY_OPTIONS, epochs=4))
    checkpoints = Checkpoints(Path(folder))
    if runtime.rank == 1:
        checkpoints._hear(15, None)
    try:
        train(run, Judge(monitor=False), checkpoints)
    except Exception as error:
        return f"{type(error).__name__}: {error}", [path.name for path in checkpoints.all()]
    return "it went on", []


PEERS: Options = replace(TOY_OPTIONS, epochs=12)


class EveryBatch(Checkpoints):
    """A checkpoint after every batch."""

    def due(self, run: Run) -> bool:
        return True


class PeerStudy(ToyStudy):
    """A study that writes a checkpoint after every batch."""

    def _checkpoints(self, name: str | None, settings: Options) -> Checkpoints | None:
        return None if self.folder is None else EveryBatch(self.folder)


def peer(runtime: Runtime, method: Method, folder: str | None) -> Mapping[str, Any]:
    """Train beside the other process, into a folder."""
    where = None if folder is None else Path(folder)
    study: Study = PeerStudy(Combination([method]), PEERS, toy(), runtime=runtime, folder=where)
    return shared(live(study.run(), study.judges[None]))


if __name__ == "__main__":
    import thresher as th

    try:
        peer(join(int(sys.argv[1]), 2, sys.argv[2]), th.method("elr"), sys.argv[3])
    except PeerLost as error:
        print(error)
        leave(3)
