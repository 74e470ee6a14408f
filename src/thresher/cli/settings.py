"""From TOML and command-line words to settings: one precedence, command line over file over defaults."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thresher.errors import UsageError

_REQUEST = ("data", "method", "noise", "trusted", "device", "cross_fit")
"""Keys of a TOML file that are not settings of a run."""


def read_toml(path: Path | None) -> dict[str, Any]:
    """A configuration file as nested values; a relative data path is taken from the file's folder.

    Raises:
        UsageError: it is missing, or not TOML.
    """
    if path is None:
        return {}
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration {path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the configuration {path} is not TOML: {error}") from error
    if isinstance(config.get("data"), str) and (path.parent / config["data"]).exists():
        config["data"] = str(path.parent / config["data"])
    return config


def value_of(text: str) -> Any:
    """A number, true, false or null where the text is one; otherwise the text itself.

    Example:
        >>> value_of("7"), value_of("1e-3"), value_of("true"), value_of("cosine")
        (7, 0.001, True, 'cosine')
    """
    try:
        return json.loads(text)
    except ValueError:
        return text


def assignments(pairs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """``["elr.strength=7", "optimizer.lr=0.1"]`` as nested values.

    Raises:
        UsageError: a word that is no ``group.field=value``.

    Example:
        >>> assignments(["elr.strength=7", "optimizer.lr=0.1"])
        {'elr': {'strength': 7}, 'optimizer': {'lr': 0.1}}
    """
    found: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        group, dot, field = name.partition(".")
        if not (equals and dot and group and field):
            raise UsageError(
                f"--set {pair!r} is not understood: write --set method.field=value, for instance elr.strength=7"
            )
        found.setdefault(group, {})[field] = value_of(text)
    return found


def letters(words: Sequence[str]) -> dict[str, Any]:
    """Words that no option took, ``--lambda 7`` or ``--lambda=7``, as the papers' letters.

    Raises:
        UsageError: a word that is no such pair.

    Example:
        >>> letters(["--lambda", "7", "--q=0.5"])
        {'lambda': 7, 'q': 0.5}
    """
    found, rest = {}, list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or word == "--":
            raise UsageError(f"{word!r} is not understood here: see thresher train --help")
        name, equals, text = word[2:].partition("=")
        if not equals:
            if not rest:
                raise UsageError(f"--{name} needs a value")
            text = rest.pop(0)
        found[name] = value_of(text)
    return found


def build_methods(names: Sequence[str], groups: Mapping[str, Mapping[str, Any]], short: Mapping[str, Any]) -> list[Any]:
    """Method objects from names, their settings by group, and the papers' letters.

    Raises:
        UsageError: an unknown method or setting, or a letter that no method or several have.
    """
    from thresher import methods as zoo
    from thresher.engine.method import hyperparameters
    from thresher.engine.options import nearest

    settings = {name: dict(groups.get(name, {})) for name in names}
    owners: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        for parameter in hyperparameters(zoo.load(name)):
            for key in {parameter.letter or parameter.name, parameter.name}:
                owners.setdefault(key, []).append((name, parameter.name))
    for letter, value in short.items():
        found = owners.get(letter, [])
        if not found:
            raise UsageError(f"there is no option --{letter}: {nearest(letter, owners) if owners else 'see --help'}")
        if len(found) > 1:
            forms = " or ".join(f"--set {name}.{field}={value}" for name, field in found)
            raise UsageError(f"--{letter} could mean several things: write {forms}")
        settings[found[0][0]].setdefault(found[0][1], value)
    return [zoo.method(name, **settings[name]) for name in names]


def request(
    config: Mapping[str, Any], command: Mapping[str, Any], pairs: Sequence[str], words: Sequence[str]
) -> dict[str, Any]:
    """Keyword arguments of `thresher.training.prepare`.

    Args:
        config: a TOML file's content.
        command: what was typed as options, None where nothing was.
        pairs: of ``--set``.
        words: what is left: the papers' letters.

    Raises:
        UsageError: anything unknown.
    """
    from thresher import methods as zoo

    typed = {key: value for key, value in command.items() if value is not None}
    chosen = typed.get("method", config.get("method", "elr"))
    names = [part.strip() for part in chosen.split(",")] if isinstance(chosen, str) else list(chosen)
    groups: dict[str, dict[str, Any]] = {}
    for source in (config, assignments(pairs)):
        for key, value in source.items():
            if isinstance(value, Mapping):
                groups.setdefault(key, {}).update(value)
    for stray in [key for key in groups if key in zoo.names() and key not in names]:
        raise UsageError(
            f"there are settings for {stray}, which is not among the methods {', '.join(names)}: add it to --method"
        )
    settings = {key: value for key, value in config.items() if key not in _REQUEST and not isinstance(value, Mapping)}
    settings |= {key: value for key, value in groups.items() if key not in names}
    typed_settings = {key: value for key, value in typed.items() if key not in (*_REQUEST, "lr", "out", "name", "root")}
    settings |= typed_settings
    if "lr" in typed:
        settings["optimizer"] = {**settings.get("optimizer", {}), "lr": typed["lr"]}
    result = {
        key: typed.get(key, config[key]) if key in config else typed[key]
        for key in _REQUEST
        if key in typed or key in config
    }
    result["method"] = build_methods(names, groups, letters(words))
    result |= {key: typed[key] for key in ("out", "name", "root") if key in typed}
    return {**result, "settings": settings}
