"""Methods around an optimiser, in training loops that are not ours."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from thresher.engine.combine import Combination
from thresher.engine.drop_in.legal import OPTIMIZER_SLOTS, check_drop_in
from thresher.engine.method import Method, check_optimizer
from thresher.engine.run import Run
from thresher.errors import UsageError


class _Held(nn.Module):
    """The very tensors that an optimiser holds, as a module: leaves that are no `nn.Parameter`, too."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__()
        self._tensors = tuple(tensors)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """The tensors."""
        return iter(cast("tuple[nn.Parameter, ...]", self._tensors))


class MethodOptimizer(torch.optim.Optimizer):
    """A torch optimiser whose gradients pass through methods first; everything else is the wrapped optimiser's.

    It stands for the run in the slot `gradient`. Groups, state and `state_dict` are the wrapped optimiser's: schedulers
    work on either, and what was saved without the methods can be loaded with them, and the other way round.

    Args:
        methods: that fill the slot `gradient`.
        optimizer: any of torch's, with its parameters and settings.
        seed: of the methods' draws.

    Raises:
        UsageError: a method does more than change gradients, or contradicts the optimiser's settings.
    """

    def __init__(self, methods: Sequence[Method], optimizer: torch.optim.Optimizer, seed: int = 0) -> None:
        check_drop_in(methods, OPTIMIZER_SLOTS, "an optimiser")
        self.method, self.optimizer = Combination(methods), optimizer
        self.seed, self._when = seed, float("nan")
        super().__init__(optimizer.param_groups, optimizer.defaults)
        self._follow()

    @property
    def when(self) -> float:
        """The fractional epoch, for methods whose strength changes over training: set it in the loop.

        Raises:
            UsageError: a method asks for it, and the loop has not set it.
        """
        if math.isnan(self._when):
            raise UsageError(
                f"{self.method.name} changes over the training: set the optimiser's `when` to the epoch, counted "
                "from 0, before its first step"
            )
        return self._when

    @when.setter
    def when(self, epoch: float) -> None:
        """Tell the fractional epoch, from 0."""
        self._when = float(epoch)

    def optimizer_of(self, module: nn.Module) -> torch.optim.Optimizer:
        """The wrapped optimiser, whatever the module; see `Run.optimizer_of`."""
        return self.optimizer

    def _follow(self) -> None:
        """Show the wrapped optimiser's groups and state as ours, and ask the methods whether they can work with it."""
        self.param_groups, self.state = self.optimizer.param_groups, self.optimizer.state
        self._weights = _Held([p for group in self.param_groups for p in group["params"]])
        for method in self.method.methods:
            check_optimizer(method, self.optimizer)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of the wrapped optimiser on the methods' gradients.

        Args:
            closure: computes the loss and its gradients and returns the loss, as torch's optimisers take it.

        Returns:
            What the closure returned, or None.
        """
        if closure is None:
            self.method.gradient(cast(Run, self), self._weights)
            return self.optimizer.step()

        def evaluate() -> Any:
            loss = closure()
            self.method.gradient(cast(Run, self), self._weights)
            return loss

        return self.optimizer.step(evaluate)

    def state_dict(self) -> dict[str, Any]:
        """The wrapped optimiser's, and `when` where the loop has set it."""
        return self.optimizer.state_dict() | ({} if math.isnan(self._when) else {"when": self._when})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Into the wrapped optimiser."""
        self.optimizer.load_state_dict(state_dict)
        self._when = state_dict.get("when", self._when)
        self._follow()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """To the wrapped optimiser; during our own construction the groups are there already."""
        if hasattr(self, "_weights"):
            self.optimizer.add_param_group(param_group)
            try:
                self._follow()
            except UsageError:
                self.optimizer.param_groups.pop()
                self._follow()
                raise
        else:
            super().add_param_group(param_group)


def as_optimizer(method: Method | Sequence[Method], optimizer: torch.optim.Optimizer, seed: int = 0) -> MethodOptimizer:
    """Put methods that work on gradients between a loop's `backward` and its optimiser; see `MethodOptimizer`.

    Example:
        >>> import thresher as th
        >>> net = nn.Linear(4, 2)
        >>> optimizer = th.as_optimizer(th.method("cdr", noise_rate=0.4), torch.optim.SGD(net.parameters(), lr=0.1))
        >>> net(torch.ones(1, 4)).sum().backward()
        >>> optimizer.step()
    """
    return MethodOptimizer(tuple(method) if isinstance(method, Sequence) else (method,), optimizer, seed)
