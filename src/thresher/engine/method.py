"""What a method is: a frozen dataclass of hyper-parameters, in one file, that fills some slots of a training step.

Methods inherit from nothing. The engine learns what a method does by looking which of the names in `SLOTS` it defines,
and reads everything a person can set from its dataclass fields.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from thresher.errors import UsageError

if TYPE_CHECKING:
    import torch

    from thresher.engine.options import Options

Method = Any
"""A method object. Slots are optional, which Python's protocols cannot say: the type is open, and `combine` checks."""

SLOTS: Mapping[str, str] = {
    "prepare": "all",
    "between": "all",
    "trust": "product",
    "inputs": "chain",
    "target": "chain",
    "loss": "one",
    "weight": "product",
    "penalty": "sum",
    "gradient": "chain",
    "observe": "all",
    "epoch": "one",
    "predictors": "one",
    "fits": "one",
    "suspicion": "side by side",
    "suggestion": "last",
}
"""Every slot a method may fill, and its law: what several methods in the same slot mean together."""

EPOCH_SLOTS = ("trust", "inputs", "target", "loss", "weight", "penalty", "observe")
"""The slots that an epoch calls itself; one that leaves some out says which it keeps, in `honours`."""

FAMILIES = (
    "baseline",
    "robust loss",
    "architecture",
    "regularisation",
    "loss adjustment",
    "sample selection",
    "semi-supervised",
    "label correction",
    "meta-learning",
    "detection",
)


def field(
    default: Any,
    *,
    letter: str | None = None,
    search: tuple[float, float] | None = None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
    choices: tuple[str, ...] | None = None,
    convert: Callable[[Any], Any] | None = None,
) -> Any:
    """Declare a hyper-parameter: its default (the paper's value), the paper's letter and its ranges.

    Args:
        default: the paper's value.
        letter: what the paper calls it; ``--<letter> value`` sets it on the command line.
        search: the range worth searching, for `thresher search` and the docs.
        bounds: the range that has a meaning, both ends included; a value outside is refused.
        choices: the accepted words, for a field that holds a word.
        convert: makes the stored, hashable value of what a person typed, such as a matrix of a file's name.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Toy:
        ...     strength: float = field(3.0, letter="lambda", search=(1.0, 10.0))
        >>> Toy(), hyperparameters(Toy)[0].letter
        (Toy(strength=3.0), 'lambda')
    """
    ranges = {"search": search, "bounds": bounds, "choices": choices}
    return dataclasses.field(default=default, metadata={"letter": letter, **ranges, "convert": convert})


@dataclasses.dataclass(frozen=True)
class Hyperparameter:
    """One dataclass field of a method, with what its `field` declared."""

    name: str
    type: str
    default: Any
    letter: str | None
    search: tuple[float, float] | None
    bounds: tuple[float, float]
    choices: tuple[str, ...] | None
    convert: Callable[[Any], Any] | None


def hyperparameters(method: Method) -> list[Hyperparameter]:
    """The hyper-parameters of a method (class or object), in the order of its file."""
    plain = {"letter": None, "search": None, "bounds": (-math.inf, math.inf), "choices": None, "convert": None}
    return [
        Hyperparameter(f.name, getattr(f.type, "__name__", str(f.type)), f.default, **{**plain, **f.metadata})
        for f in dataclasses.fields(method)
    ]


def name_of(method: Method) -> str:
    """The name people type: the file stem for our own methods, the class name in lower case for those of others."""
    cls = method if isinstance(method, type) else type(method)
    package, _, stem = cls.__module__.rpartition(".")
    return stem if package == "thresher.methods" else cls.__name__.lower()


def described(method: Method) -> dict[str, Any]:
    """A method as plain values: its name and its hyper-parameters, enough to build it again."""
    return {"name": name_of(method), "fields": dataclasses.asdict(method)}


def filled_slots(method: Method) -> tuple[str, ...]:
    """The slots a method object fills, in the order of `SLOTS`; a property that is None leaves its slot empty."""
    return tuple(slot for slot in SLOTS if callable(getattr(method, slot, None)))


def check_options(method: Method, options: "Options") -> None:
    """Ask a method whether it can work with a run's settings; one that cares has ``check(options)``.

    Raises:
        UsageError: a setting contradicts the method, such as weight decay under a method that regularises by itself.
    """
    if hasattr(method, "check"):
        method.check(options)


def check_optimizer(method: Method, optimizer: "torch.optim.Optimizer") -> None:
    """Ask a method whether it can work with an optimiser of a foreign loop; one that cares has ``check_optimizer``.

    Raises:
        UsageError: a setting of a parameter group contradicts the method.
    """
    if hasattr(method, "check_optimizer"):
        method.check_optimizer(optimizer)


def to_be_given(method: Method) -> list[str]:
    """The settings, empty by default, that a run finds in trainings of its own and a foreign loop has to bring."""
    return [p.name for p in hyperparameters(method) if "fits" in getattr(method, "by_hand", ()) and p.default == ()]


def check_classes(method: Method, classes: int) -> None:
    """Ask a method whether it can work with so many classes; one that cares has ``check_classes(classes)``.

    Raises:
        UsageError: it holds something for another number, such as a transition matrix.
    """
    if hasattr(method, "check_classes"):
        method.check_classes(classes)


def check_values(method: Method) -> None:
    """Refuse hyper-parameters that have no meaning.

    Raises:
        UsageError: a value of the wrong type, outside its bounds, or not one of its choices.
    """
    for parameter in hyperparameters(method):
        value, what = getattr(method, parameter.name), f"{name_of(method)}.{parameter.name}"
        if parameter.choices is not None and value not in parameter.choices:
            raise UsageError(f"{what} is {value!r}: choose one of {', '.join(parameter.choices)}")
        if parameter.type == "bool" and not isinstance(value, bool):
            raise UsageError(f"{what} is {value!r}: it must be true or false")
        if parameter.type in ("int", "float"):
            _check_number(what, value, parameter)


def _check_number(what: str, value: object, parameter: Hyperparameter) -> None:
    kinds = int if parameter.type == "int" else int | float
    low, high = parameter.bounds
    if not isinstance(value, kinds) or isinstance(value, bool) or not low <= value <= high or math.isinf(value):
        kind = "a whole number" if parameter.type == "int" else "a number"
        raise UsageError(f"{what} is {value!r}: it must be {kind} from {low:g} to {high:g}")
