"""Methods as a loss module, in training loops that are not ours."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from thresher.engine.combine import Combination, cross_entropy
from thresher.engine.drop_in.legal import LOSS_SLOTS, check_drop_in
from thresher.engine.drop_in.run import ForeignRun
from thresher.engine.method import Method, check_classes, filled_slots, name_of, to_be_given
from thresher.engine.run import Run
from thresher.engine.step import Batch, Outputs, Step
from thresher.errors import ThresherError, UsageError

_CLOSE = 0.01
"""How far soft targets may be from adding up to 1: what half precision makes of many classes."""


class MethodLoss(nn.Module):
    """A method as a loss: called with logits, labels and the samples' row numbers; one that mixes samples, after `mix`.

    In training mode it reads and writes the method's tables; in evaluation mode it is plain cross-entropy and touches
    nothing. The tables are buffers: they move with `.to` and travel in `state_dict`.

    Args:
        method: a method, or several to combine.
        num_samples: N; row numbers go from 0 to N - 1 and stay with their samples.
        num_classes: C.
        labels: the given labels of all rows, int64 ``[N]``, for `suspects`; may be given there instead.
        reduction: mean, sum or none; a scalar penalty is added to every element of none.
        seed: of first table values.

    Raises:
        UsageError: the method does more than a loss can; the sentence says what.
    """

    def __init__(
        self,
        method: Method | Sequence[Method],
        num_samples: int,
        num_classes: int,
        labels: Tensor | None = None,
        reduction: str = "mean",
        seed: int = 0,
    ) -> None:
        super().__init__()
        methods = tuple(method) if isinstance(method, Sequence) else (method,)
        check_drop_in(methods, LOSS_SLOTS, "a loss")
        if reduction not in ("mean", "sum", "none"):
            raise UsageError(f"reduction is {reduction!r}: choose one of mean, sum, none")
        if num_samples < 1 or num_classes < 2:
            raise UsageError(f"a loss needs samples and at least two classes, not {num_samples} and {num_classes}")
        for one in methods:
            check_classes(one, num_classes)
            for name in to_be_given(one) if "fits" in filled_slots(one) else ():
                raise UsageError(f"{name_of(one)} has no {name}, and only a run can estimate it: pass {name}=")
        self.method, self.reduction = Combination(methods), reduction
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.run = ForeignRun(self, num_samples, num_classes, seed, self.method)
        self._labelled, self._mixed = labels is not None, False
        if labels is not None:
            self.run.given = _checked_labels(labels, num_samples, num_classes)

    def mix(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """What goes into the network and what it is to say, for methods that mix samples: before the forward pass.

        Args:
            inputs: ``[B, ...]``.
            labels: int64 ``[B]``, or soft targets ``[B, C]``.

        Returns:
            Mixed inputs, and soft targets ``[B, C]`` to be handed on as labels; in evaluation mode nothing is mixed.

        Raises:
            UsageError: the method mixes nothing.
            ThresherError: labels that do not fit.

        Example:
            >>> import thresher as th
            >>> criterion = th.as_loss(th.method("mixup", alpha=1.0), num_samples=100, num_classes=3)
            >>> inputs, targets = criterion.mix(torch.ones(2, 4), torch.tensor([0, 2]))
            >>> inputs.shape, targets.sum(1).tolist()
            (torch.Size([2, 4]), [1.0, 1.0])
        """
        if not self.method.fills("inputs"):
            raise UsageError(f"{self.method.name} mixes nothing: hand inputs and labels on as they are")
        target = self._target(labels, len(inputs)).to(inputs.device)
        if not self.training:
            return inputs, target
        self._mixed = True
        batch = Batch(torch.arange(len(inputs), device=inputs.device), target.argmax(1), {})
        step = self.method.inputs(Step(cast(Run, self.run), batch, target, inputs=(inputs,)))
        return step.inputs[0], step.target

    def forward(self, logits: Tensor, labels: Tensor, index: Tensor | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            logits: ``[B, C]``, any floating type; computed in float32.
            labels: int64 ``[B]``, or soft targets ``[B, C]``.
            index: row numbers, int64 ``[B]``; needed in training mode.

        Returns:
            A scalar, or ``[B]`` with reduction none.

        Raises:
            ThresherError: shapes that do not fit, a row number out of range or twice in the batch, a label out of
                range, soft targets that are no distribution (values are looked at on the CPU only).
        """
        logits = logits.float()
        with torch.autocast(logits.device.type, enabled=False):
            if logits.ndim != 2 or logits.shape[1] != self.run.classes:
                raise ThresherError(
                    f"the logits have the shape {tuple(logits.shape)}, and [B, {self.run.classes}] is needed"
                )
            target = self._target(labels, len(logits))
            if not self.training:
                return self._reduce(cross_entropy(logits, target), 0.0)
            if index is None:
                raise ThresherError("this loss keeps a row per sample: call it with (logits, labels, index)")
            if self.method.fills("inputs") and not self._mixed:
                raise ThresherError(
                    f"{self.method.name} changes what goes into the network: before it, call inputs, labels = "
                    "loss.mix(inputs, labels)"
                )
            index = self._checked_index(index, len(logits)).to(logits.device)
            self._mixed = False
            hard = labels.argmax(1) if labels.ndim == 2 else labels
            step = Step(
                cast(Run, self.run),
                Batch(index, hard, {}),
                target,
                outputs=Outputs(logits, logits.new_empty(len(logits), 0)),
            )
            return self._loss(step)

    def _loss(self, step: Step) -> Tensor:
        method = self.method
        step = replace(step, target=method.target(step))
        step = replace(step, losses=method.loss(step.logits, step.target, step))
        weight = method.weight(step)
        result = self._reduce(weight * step.losses, method.penalty(step))
        method.observe(step)
        self.run.seen += len(step.index)
        return result

    def _reduce(self, losses: Tensor, penalty: Tensor | float) -> Tensor:
        if self.reduction == "mean":
            return losses.mean() + penalty
        losses = losses + penalty
        return losses.sum() if self.reduction == "sum" else losses

    def _target(self, labels: Tensor, size: int) -> Tensor:
        """Soft targets ``[B, C]`` of labels that fit."""
        if labels.ndim != 2:
            return self._one_hot(labels, size)
        shape = (size, self.run.classes)
        if labels.shape != shape or not labels.is_floating_point():
            raise ThresherError(
                f"labels have the shape {tuple(labels.shape)} and the type {labels.dtype}: give int64 [B], or soft "
                f"targets {list(shape)}"
            )
        target = labels.float()
        near = (target >= 0).all(1) & ((target.sum(1) - 1).abs() <= _CLOSE)
        if target.device.type == "cpu" and not near.all():
            raise ThresherError("a row of soft targets is no distribution: its numbers must be from 0, and add up to 1")
        return target

    def _one_hot(self, labels: Tensor, size: int) -> Tensor:
        if labels.shape != (size,) or labels.is_floating_point():
            raise ThresherError(
                f"labels have the shape {tuple(labels.shape)} and the type {labels.dtype}, and {size} whole "
                "numbers are needed"
            )
        classes = self.run.classes
        if labels.device.type == "cpu" and size and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise ThresherError(f"a label is outside 0..{classes - 1}")
        return one_hot(labels, classes).float()

    def _checked_index(self, index: Tensor, length: int) -> Tensor:
        """Row numbers that can be written; on CUDA a bad one stops the device instead of being waited for."""
        if index.shape != (length,):
            raise ThresherError(f"{length} samples came with row numbers of the shape {tuple(index.shape)}")
        if index.device.type != "cpu":
            return torch.where(index < 0, self.run.size, index)
        if length and not 0 <= int(index.min()) <= int(index.max()) < self.run.size:
            raise ThresherError(f"a row number is outside 0..{self.run.size - 1}")
        if len(index.unique()) != length:
            raise ThresherError("a row stands twice in this batch: each sample has one row, so visit it once per batch")
        return index

    def suspects(self, labels: Tensor | None = None) -> Tensor:
        """Which labels the method calls wrong, bool ``[N]``.

        Args:
            labels: the given labels, int64 ``[N]``; default those given at the start.
        """
        if not self.method.fills("suspicion"):
            raise UsageError(f"{self.method.name} cannot tell which labels are wrong")
        if labels is not None:
            self.run.given = _checked_labels(labels, self.run.size, self.run.classes)
        elif not self._labelled:
            raise UsageError("suspects needs the given labels of all rows: pass labels, here or to as_loss")
        self._labelled = True
        self.run.given = self.run.given.to(self.seen_device)
        said = self.method.suspicion(cast(Run, self.run))
        return next(iter(said.values())) > 0

    def suggestions(self) -> Tensor:
        """Class probabilities of the true labels, ``[N, C]``."""
        self.run.given = self.run.given.to(self.seen_device)
        said = self.method.suggestion(cast(Run, self.run))
        if not said:
            raise UsageError(f"{self.method.name} does not suggest labels")
        return list(said.values())[-1]

    def update_table(self, name: str, index: Tensor, rows: Tensor) -> None:
        """Write rows ``[B, ...]`` of a table by row number, for instance to set what is known from elsewhere."""
        self.run.table(name, tuple(rows.shape[1:]), dtype=rows.dtype)[self._checked_index(index, len(rows))] = rows

    @property
    def seen_device(self) -> torch.device:
        """The device of the tables."""
        return next(iter(self.buffers())).device

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        cast(Tensor, self.seen).fill_(self.run.seen)
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        for key, value in state_dict.items():  # tables appear on first use, so a fresh module has none yet
            name = key.removeprefix(prefix)
            if key.startswith(prefix) and name.startswith("table_") and name not in self._buffers:
                self.register_buffer(name, torch.empty_like(value, device=self.seen_device))
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.run.seen = int(cast(Tensor, self.seen))


def _checked_labels(labels: Tensor, size: int, classes: int) -> Tensor:
    labels = torch.as_tensor(labels)
    if labels.shape != (size,) or not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise UsageError(f"labels must be {size} numbers from 0 to {classes - 1}")
    return labels.to(torch.int64)


def as_loss(
    method: Method | Sequence[Method],
    num_samples: int,
    num_classes: int,
    labels: Tensor | None = None,
    reduction: str = "mean",
    seed: int = 0,
) -> MethodLoss:
    """A method as a loss module for any PyTorch loop; see `MethodLoss`.

    Example:
        >>> import thresher as th
        >>> criterion = th.as_loss(th.method("gce"), num_samples=100, num_classes=3)
        >>> logits = torch.tensor([[2.0, 1.0, 0.1]])
        >>> round(criterion(logits, torch.tensor([0]), torch.tensor([42])).item(), 4)
        0.3617
    """
    return MethodLoss(method, num_samples, num_classes, labels, reduction, seed)
