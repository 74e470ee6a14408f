"""The methods, one file each. Discovery is the folder: the name people type is the file stem."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any

from thresher.engine.method import Method, hyperparameters
from thresher.errors import UsageError, nearest


def names() -> list[str]:
    """Every method's name, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> type[Any]:
    """The one public dataclass of a method file.

    Raises:
        UsageError: there is no such file; the sentence names the nearest ones.

    Example:
        >>> load("elr").__name__
        'ELR'
    """
    if name not in names():
        raise UsageError(f"there is no method {name!r}: {nearest(name, names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    found = [
        value
        for key, value in vars(module).items()
        if dataclasses.is_dataclass(value) and value.__module__ == module.__name__ and not key.startswith("_")
    ]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} has {len(found)} public dataclasses, and a method file has exactly one")
    cls: type[Any] = found[0]  # type: ignore[assignment]
    return cls


def method(name: str, **settings: Any) -> Method:
    """A method by name, with hyper-parameters by field name or by the paper's letter.

    Args:
        name: of the method's file.
        **settings: the fields that differ from their defaults; `preset` names a set of published values, which those
            given beside it override.

    Raises:
        UsageError: an unknown name, setting or preset.

    Example:
        >>> method("elr", strength=7), method("elr", **{"lambda": 7})
        (ELR(strength=7, momentum=0.7), ELR(strength=7, momentum=0.7))
        >>> method("sce", preset="mnist").alpha
        0.01
    """
    cls = load(name)
    base = _preset(name, cls, settings.pop("preset")) if "preset" in settings else {}
    fields = {parameter.name: parameter.name for parameter in hyperparameters(cls)}
    letters = {p.letter: p.name for p in hyperparameters(cls) if p.letter is not None}
    accepted = {**letters, **fields}
    values = {}
    for key, value in settings.items():
        if key not in accepted:
            raise UsageError(f"{name} has no setting {key!r}: {nearest(key, accepted) if accepted else 'it has none'}")
        if accepted[key] in values:
            raise UsageError(f"{name}.{accepted[key]} was given twice, once by its letter: give it once")
        values[accepted[key]] = value
    converts = {p.name: p.convert for p in hyperparameters(cls) if p.convert is not None}
    values = {key: converts[key](value) if key in converts else value for key, value in values.items()}
    return cls(**{**base, **values})


def _preset(name: str, cls: type[Any], preset: Any) -> Mapping[str, Any]:
    presets: Mapping[str, Mapping[str, Any]] = getattr(cls, "presets", {})
    if preset not in presets:
        hint = nearest(str(preset), presets) if presets else "it has none"
        raise UsageError(f"{name} has no preset {preset!r}: {hint}")
    return presets[preset]


def parse(text: str | Sequence[str | Method] | Method) -> tuple[Method, ...]:
    """Methods from ``"elr,cdr"``, a method object, or a list of either.

    Example:
        >>> parse("gce,elr")
        (GCE(q=0.7), ELR(strength=3.0, momentum=0.7))
    """
    if isinstance(text, str):
        return tuple(method(part.strip()) for part in text.split(",") if part.strip())
    items = text if isinstance(text, Sequence) else [text]
    return tuple(one for item in items for one in (parse(item) if isinstance(item, str) else (item,)))
