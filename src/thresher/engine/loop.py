"""The loop: one epoch, with the whole training step on one screen, and the epochs around it."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from thresher.engine import checkpoint, passes, state
from thresher.engine.method import EPOCH_SLOTS, described, name_of
from thresher.engine.step import Step
from thresher.engine.table import NonFinite
from thresher.errors import ThresherError
from thresher.randomness import seed_default

if TYPE_CHECKING:
    from thresher.engine.checkpoint import Checkpoints
    from thresher.engine.combine import Combination
    from thresher.engine.evaluate import Judge
    from thresher.engine.run import Run


def plain_epoch(run: "Run") -> None:
    """One pass over the training rows, each slot called once per step."""
    method, trust = run.method, run.method.trust(run)
    for batch in run.batches(*(() if trust is None else (trust > 0,)), views=method.views):
        step = method.inputs(Step(run, batch, target=run.target(batch)))
        step = replace(step, outputs=run.forward(0, *step.inputs))
        step = replace(step, target=method.target(step))
        step = replace(step, losses=method.loss(step.logits, step.target, step))
        weight = method.weight(step) * (1 if trust is None else trust[batch.index])
        loss = (weight * step.losses).mean() + method.penalty(step)
        method.observe(step)
        run.update(loss)


def train(
    run: "Run",
    judge: "Judge",
    checkpoints: "Checkpoints | None" = None,
    report: Callable[[dict[str, Any]], None] = lambda record: None,
) -> None:
    """Train until the last epoch, or until the judge's stopping rule; a resumed run goes on where it stands.

    Args:
        run: fresh, or restored by `checkpoint.read`.
        judge: measures each epoch and selects one; its history goes into every checkpoint.
        checkpoints: where to save, or None to keep nothing.
        report: called with the record of each epoch.

    Raises:
        Interrupted: a signal asked the run to stop; a checkpoint was taken.
    """
    if checkpoints is not None:
        run.after_batch = lambda: _between_batches(run, judge, checkpoints)
    if run.epoch == 0 and run.position.resume_verb < 0:
        _enter(run, passes.PREPARE)
        run.method.prepare(run)
    while run.epoch < run.epochs and not judge.stopped:
        started = time.perf_counter()
        one_epoch(run)
        record = judge.measure(run)
        record["seconds"] = round(time.perf_counter() - started, 3)
        selected = judge.best_epoch == run.epoch
        if selected:
            run.best_weights = {name: value.cpu() for name, value in state.weights(run).items()}
        if checkpoints is not None:
            checkpoints.save(run, _extra(run, judge), selected)
        report(record)
        if checkpoints is not None and checkpoints.stopping(run):
            raise checkpoint.Interrupted(f"stopped by {checkpoints.stop_signal} after epoch {run.epoch}")


def _extra(run: "Run", judge: "Judge") -> dict[str, Any]:
    """What a checkpoint holds beside the live state: enough to tell the story so far, and to load the networks."""
    return {"history": judge.history, "methods": [described(method) for method in run.method.methods]}


def _enter(run: "Run", phase: int) -> None:
    """Start a phase; draws outside batch loops depend on the seed, the epoch and the phase alone."""
    run.position.enter(phase)
    seed_default(run.device, run.seed, run.epoch, phase)


def one_epoch(run: "Run") -> None:
    """What comes before an epoch, the epoch, and the checks after it."""
    resumed = run.position.resume_verb >= 0
    if not resumed:  # resumed inside an epoch, its tables already hold what `between` did
        _enter(run, passes.BETWEEN)
        run.method.between(run)
    _enter(run, passes.EPOCH)
    run.method.called.clear()
    try:
        run.method.epoch(run)
    except NonFinite as error:
        where = f"in epoch {run.epoch + 1} at step {run.position.done + 1}"
        raise NonFinite(f"{where}: the last good checkpoint is kept; {error}") from error
    run.position.resume_verb = -1
    run.scans.clear()
    run.check()
    if run.options.debug and not resumed:  # the slots of the batches before the stop were called by another process
        check_honoured(run.method)
    check_agreement(run)
    run.epoch += 1
    run.when = float(run.epoch)


def _between_batches(run: "Run", judge: "Judge", checkpoints: "Checkpoints") -> None:
    if checkpoints.due(run):
        run.check()
        checkpoints.save(run, _extra(run, judge))
        if checkpoints.stop_signal is not None:
            raise checkpoint.Interrupted(f"stopped by {checkpoints.stop_signal} in epoch {run.epoch + 1}")


def check_honoured(method: "Combination") -> None:
    """Compare the slots an epoch really called with those it says it honours.

    Raises:
        ThresherError: it calls one it does not declare, or declares one it never called.
    """
    owners = [m for m in method.methods if callable(getattr(m, "epoch", None))]
    if not owners:
        return
    called = method.called & set(EPOCH_SLOTS)
    honours = set(getattr(owners[0], "honours", ())) & set(EPOCH_SLOTS)
    if called != honours:
        raise ThresherError(
            f"the epoch of {name_of(owners[0])} says it honours {sorted(honours)} and called {sorted(called)}: "
            "make `honours` true"
        )


def check_agreement(run: "Run") -> None:
    """Compare networks, modules and shared values over ranks.

    Raises:
        ThresherError: they differ, which means that ranks did not take the same steps.
    """
    if run.runtime.world == 1:
        return
    tensors = [*state.weights(run).values(), *run.values.values()]
    sums = torch.stack([t.double().sum() for t in tensors] + [t.double().square().sum() for t in tensors])
    if not torch.equal(run.runtime.gather(sums[None], run.runtime.world), sums.expand(run.runtime.world, -1)):
        raise ThresherError(f"the ranks no longer hold the same weights after epoch {run.epoch + 1}: this is a bug")
