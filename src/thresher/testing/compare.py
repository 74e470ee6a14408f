"""What two trainings are compared by: everything that lives longer than a step, bit for bit."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from thresher.engine.evaluate import Judge
from thresher.engine.method import Method, name_of
from thresher.engine.run import Run
from thresher.testing.toy import ToyStudy


def live(run: Run, judge: Judge) -> dict[str, Any]:
    """Everything of a run that lives longer than a step, as it is in memory."""
    waiting = run.restored  # modules of a finished fit that nobody has asked for since it was loaded
    return {
        "table": {name: table.full() for name, table in run.tables.items()},
        "net": {k: net.state_dict() for k, net in enumerate(run.nets)},
        "average": {k: net.state_dict() for k, net in enumerate(run.averages)},
        "module": {name: module.state_dict() for name, module in run.modules.items()}
        | {name: kept["weights"] for name, kept in waiting.items()},
        "optimizer": {name: optimizer.state_dict() for name, optimizer in run.optimizers.items()}
        | {name: kept["optimizer"] for name, kept in waiting.items()},
        "value": dict(run.values),
        "best": run.best_weights,
        "clock": {"epoch": run.epoch, "when": run.when, "updates": run.updates},
        "history": [{key: value for key, value in one.items() if key != "seconds"} for one in judge.history],
    }


def shared(state: Mapping[str, Any]) -> dict[str, Any]:
    """The part of `live` that ranks must agree on; tables are gathered, so they are part of it."""
    return {key: value for key, value in state.items() if key != "best"}


def difference(one: Any, other: Any, path: str = "") -> str | None:
    """Where two nested structures first differ, bit for bit; None where they do not.

    Example:
        >>> import torch
        >>> difference({"a": [1, torch.ones(1)]}, {"a": [1, torch.zeros(1)]})
        'a 1'
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if one.keys() != other.keys():
            return f"{path} {sorted(map(str, one.keys() ^ other.keys()))}".strip()
        return _first(difference(one[key], other[key], f"{path} {key}".strip()) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return f"{path} (length)"
        return _first(difference(a, b, f"{path} {k}") for k, (a, b) in enumerate(zip(one, other, strict=True)))
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return None if _same_bits(one, other) else path
    return None if repr(one) == repr(other) else path  # NaN equals itself here


def _first(found: Iterator[str | None]) -> str | None:
    return next((where for where in found if where is not None), None)


def _same_bits(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    as_bytes = [tensor.detach().cpu().contiguous().numpy().tobytes() for tensor in (one, other)]
    return as_bytes[0] == as_bytes[1]


def difference_of_studies(one: ToyStudy, other: ToyStudy) -> str | None:
    """Where the live states of all fits of two studies first differ."""
    mine, theirs = ({str(name): live(run, s.judges[name]) for name, run in s.runs.items()} for s in (one, other))
    return difference(mine, theirs)


def require(holds: Any, sentence: str) -> None:
    """Raise an AssertionError with the sentence unless something holds; `assert` would vanish under ``python -O``."""
    if not holds:
        raise AssertionError(sentence)


@contextlib.contextmanager
def rule(methods: Sequence[Method], sentence: str) -> Iterator[None]:
    """Turn whatever goes wrong inside into an AssertionError that names the rule."""
    names = ",".join(map(name_of, methods)) or "no method"
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{names} breaks the rule that {sentence}: {error}") from error
    except Exception as error:
        raise AssertionError(f"{names} breaks the rule that {sentence}: {type(error).__name__}: {error}") from error
