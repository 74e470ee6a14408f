"""From TOML and command-line words to settings: one precedence, command line over file over defaults."""

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thresher.data.reading import Reading
from thresher.errors import UsageError

_TEXT = (str,)
_REQUEST: Mapping[str, tuple[tuple[type, ...], str]] = {
    "data": (_TEXT, "a name or a path"),
    "method": ((list, str), "a name or a list of names"),
    "noise": ((list, str), "a text such as symmetric:0.4, or a list of them"),
    "map": (_TEXT, "class pairs such as cat>dog,dog>cat"),
    "trusted": (_TEXT, "a path or per-class:N"),
    "device": ((str, int), "a name or a number"),
    "cross_fit": ((int,), "a whole number"),
    "model": (_TEXT, "net or the name of a classifier"),
    "label": (_TEXT, "the name of a column"),
    "path": (_TEXT, "the name of a column"),
    "text": (_TEXT, "the name of a column"),
    "text_model": (_TEXT, "a folder or a name"),
    "id": (_TEXT, "the name of a column"),
    "group": (_TEXT, "the name of a column"),
    "test": (_TEXT, "a name or a path"),
    "labels": (_TEXT, "a path"),
    "annotator": (_TEXT, "the name of a column"),
    "annotators": (_TEXT, "names of columns such as a,b,c or a1..a5"),
    "size": ((int,), "a number of pixels"),
    "skip_bad": ((bool,), "true or false"),
}
"""Keys of a TOML file that are not settings of a run, and what they take."""

_READING = tuple(field.name for field in dataclasses.fields(Reading))
_PATHS = ("data", "test", "labels", "trusted", "weights", "text_model")


def read_toml(path: Path | None) -> dict[str, Any]:
    """A configuration file as nested values; relative paths are taken from the file's folder.

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
    for key in _PATHS:
        if isinstance(config.get(key), str) and config[key] and (path.parent / config[key]).exists():
            config[key] = str(path.parent / config[key])
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


def assignments(pairs: Sequence[str]) -> dict[str, Any]:
    """``["elr.strength=7", "optimizer.lr=0.1", "stop=patience"]`` as nested values.

    Raises:
        UsageError: a word that is no ``group.field=value`` or ``setting=value``.

    Example:
        >>> assignments(["elr.strength=7", "optimizer.lr=0.1", "stop=patience"])
        {'elr': {'strength': 7}, 'optimizer': {'lr': 0.1}, 'stop': 'patience'}
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        group, dot, field = name.partition(".")
        inside = found.setdefault(group, {}) if dot else found
        if not (equals and group and (field or not dot) and isinstance(inside, dict)):
            raise UsageError(
                f"--set {pair!r} is not understood: write --set method.field=value, for instance elr.strength=7"
            )
        inside[field or group] = value_of(text)
    return found


def leftovers(words: Sequence[str]) -> tuple[str | None, dict[str, Any]]:
    """Words that no option took: DATA, if it is there, and the papers' letters, ``--lambda 7`` or ``--lambda=7``.

    Raises:
        UsageError: a word that is neither.

    Example:
        >>> leftovers(["--lambda", "7", "digits", "--q=0.5"])
        ('digits', {'lambda': 7, 'q': 0.5})
    """
    data: str | None = None
    found: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, text = word.removeprefix("--").partition("=")
        if word.startswith("--") and name:
            if not equals and not rest:
                raise UsageError(f"--{name} needs a value")
            found[name] = value_of(text if equals else rest.pop(0))
        elif data is None and not word.startswith("-"):
            data = word
        else:
            raise UsageError(f"{word!r} is not understood here: see thresher train --help")
    return data, found


def _by_field(name: str, settings: Any) -> dict[str, Any]:
    """A method's settings with the papers' letters replaced by field names, unless that would hide one of two."""
    from thresher import methods as zoo
    from thresher.engine.method import hyperparameters

    known = hyperparameters(zoo.load(name))
    if not isinstance(settings, Mapping):
        raise UsageError(f"{name} is {settings!r}: write {name}.field=value, see thresher methods {name}")
    fields = {p.name for p in known}
    by_letter = {p.letter: p.name for p in known if p.letter and p.letter not in fields and p.name not in settings}
    return {str(by_letter.get(key, key)): value for key, value in settings.items()}


def _meant(letter: str, value: Any, names: Sequence[str], options: Sequence[str]) -> tuple[str, str]:
    """The method and the field that a letter (or a field's own name) sets."""
    from thresher import methods as zoo
    from thresher.engine.method import hyperparameters

    known = [(name, p) for name in names for p in hyperparameters(zoo.load(name))]
    found = [(name, p.name) for name, p in known if letter in (p.letter, p.name)]
    if len(found) > 1:
        forms = " or ".join(f"--set {name}.{field}={value}" for name, field in found)
        raise UsageError(f"--{letter} could mean several things: write {forms}")
    if not found:
        spelled = [word for _, p in known for word in (p.letter, p.name) if word]
        close = difflib.get_close_matches(letter, [*spelled, *options], n=2)
        hint = f"did you mean {' or '.join(f'--{word}' for word in close)}?" if close else "see thresher train --help"
        raise UsageError(f"there is no option --{letter}: {hint}")
    return found[0]


def build_methods(
    names: Sequence[str],
    config: Mapping[str, Any],
    pairs: Mapping[str, Any],
    short: Mapping[str, Any],
    options: Sequence[str] = (),
) -> list[Any]:
    """Method objects from names and their settings; what was typed wins over a file.

    Args:
        names: of the methods.
        config: a TOML file's content.
        pairs: of ``--set``, by group.
        short: values by the papers' letters.
        options: names of the command's own options, for the hint about a misspelt one.

    Raises:
        UsageError: an unknown method or setting, a setting given twice, or a letter that no method or several have.
    """
    from thresher import methods as zoo

    typed = {name: _by_field(name, pairs.get(name, {})) for name in names}
    for letter, value in short.items():
        name, field = _meant(letter, value, names, options)
        if field in typed[name]:
            raise UsageError(f"{name}.{field} is set twice, by --{letter} too: give it once")
        typed[name][field] = value
    return [zoo.method(name, **{**_by_field(name, config.get(name, {})), **typed[name]}) for name in names]


def _checked(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A file's content, if the keys that are not settings have values of the right kind."""
    for key, (kinds, words) in _REQUEST.items():
        value = config.get(key)
        items = value if isinstance(value, list) and list in kinds else [value]
        fits = all(isinstance(item, kinds) and (bool in kinds or not isinstance(item, bool)) for item in items)
        if key in config and not (fits and not any(isinstance(item, list) for item in items)):
            raise UsageError(f"{key} is {value!r} in the configuration: it must be {words}")
    return config


def request(
    config: Mapping[str, Any],
    command: Mapping[str, Any],
    pairs: Sequence[str],
    short: Mapping[str, Any],
    options: Sequence[str] = (),
) -> dict[str, Any]:
    """Keyword arguments of `thresher.jobs.prepare`.

    Args:
        config: a TOML file's content.
        command: what was typed as options, None where nothing was.
        pairs: of ``--set``.
        short: values by the papers' letters.
        options: names of the command's own options, for the hint about a misspelt one.

    Raises:
        UsageError: anything unknown.
    """
    typed, config, assigned = {k: v for k, v in command.items() if v is not None}, _checked(config), assignments(pairs)
    chosen = typed.get("method", config.get("method", "elr"))
    names = [part.strip() for part in chosen.split(",")] if isinstance(chosen, str) else list(chosen)
    _refuse_strays(names, [*config, *assigned])
    plain = {key: value for key, value in config.items() if key not in (*_REQUEST, *names)}
    settings = merged(plain, {key: value for key, value in assigned.items() if key not in names})
    settings |= {key: value for key, value in typed.items() if key not in (*_REQUEST, "lr", "out", "name", "root")}
    if "lr" in typed:
        settings["optimizer"] = {**settings.get("optimizer", {}), "lr": typed["lr"]}
    result = {key: typed.get(key, config.get(key)) for key in _REQUEST if key in typed or key in config}
    about: dict[str, Any] = {key: result.pop(key) for key in _READING if key in result}
    if "map" in result:
        result["mapping"] = result.pop("map")
    if "device" in result:
        result["device"] = str(result["device"])  # TOML has 0 for the first GPU
    result["method"] = build_methods(names, config, assigned, short, options)
    named: dict[str, Any] = {key: typed[key] for key in ("out", "name", "root") if key in typed}
    return {**result, **named, "reading": Reading(**about), "settings": settings}


def _refuse_strays(names: Sequence[str], groups: Sequence[str]) -> None:
    from thresher import methods as zoo

    for stray in [key for key in groups if key in zoo.names() and key not in names]:
        raise UsageError(
            f"there are settings for {stray}, which is not among the methods {', '.join(names)}: add it to --method"
        )


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two levels of settings, the second winning key by key inside their groups too.

    Example:
        >>> merged({"epochs": 5, "optimizer": {"lr": 0.1, "name": "sgd"}}, {"optimizer": {"lr": 0.2}})
        {'epochs': 5, 'optimizer': {'lr': 0.2, 'name': 'sgd'}}
    """
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = {**old, **value} if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result
