"""The methods as plain values, from their files alone: what `thresher methods` and the pages of docs/methods/ say."""

import inspect
import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from thresher import methods as zoo
from thresher import recipes
from thresher.engine.combine import check_legal
from thresher.engine.drop_in import LOSS_SLOTS, OPTIMIZER_SLOTS, check_drop_in
from thresher.engine.method import Hyperparameter, Method, filled_slots, hyperparameters, name_of, to_be_given
from thresher.errors import UsageError

SLOTS_IN_WORDS: Mapping[str, str] = {
    "prepare": "once, before the first epoch",
    "between": "before each epoch",
    "trust": "before each epoch: which samples are visited, and how much each counts",
    "inputs": "before the forward pass: inputs and targets of a batch",
    "target": "the soft target of each sample",
    "loss": "the loss of each sample",
    "weight": "how much each sample of a batch counts",
    "penalty": "added to the loss of a batch",
    "gradient": "between the backward pass and the optimiser's step",
    "observe": "after the loss of a batch: reads it, and keeps notes",
    "epoch": "the whole epoch",
    "predictors": "which networks predict",
    "fits": "the trainings that make up a run",
    "suspicion": "which labels are wrong, higher is worse",
    "suggestion": "which labels are right, as class probabilities",
}
"""What each slot is for, in the order of `thresher.engine.method.SLOTS`."""

LAWS_IN_WORDS: Mapping[str, str] = {
    "all": "all, in the order typed",
    "product": "multiplied",
    "chain": "one after the other, as typed",
    "one": "one method only",
    "sum": "added",
    "side by side": "side by side",
    "last": "the last one typed",
}
"""What several methods in one slot mean together, by the law of the slot."""

_AUTHORS = r"(?:[A-Z][\w-]+, )*[A-Z][\w-]+(?: and [A-Z][\w-]+| et al\.)?"
_CITATION = re.compile(rf'(?P<who>{_AUTHORS}), (?:"[^"]+", )?(?P<where>[A-Z][A-Za-z ]+ \d{{4}})')
_OPENING = {
    "loss": "th.as_loss(th.method({method}), num_samples=50_000, num_classes=10)",
    "optimizer": "th.as_optimizer(th.method({method}), torch.optim.SGD(net.parameters(), lr=0.02))",
}


def describe(name: str) -> dict[str, Any]:
    """A method as plain values that JSON can hold.

    Its slots and what it combines with are those of its default settings.

    Args:
        name: of the method's file.

    Returns:
        Its name, family, idea, slots, number of networks, paper, fields, presets and recipes; ``drop_in``: what it can
        be in a foreign loop ("loss", "optimizer" or None), with ``drop_in_with``: the settings it then needs,
        ``by_hand``: the slots whose work is then the loop's, ``drop_in_line``: the code, or the sentence that says why
        not; ``combines``: methods it may be listed with; ``refused``: the others, by reason.

    Raises:
        UsageError: there is no such method.

    Example:
        >>> told = describe("gce")
        >>> told["slots"], told["drop_in_line"]
        (['loss'], 'th.as_loss(th.method("gce"), num_samples=50_000, num_classes=10)')
    """
    cls = zoo.load(name)
    paragraphs = text_of(cls).split("\n\n")
    kind, line = drop_in(cls())
    meanings = attributes(cls)
    legal, refused = combinations(name)
    return {
        "name": name,
        "family": cls.family,
        "idea": " ".join(paragraphs[0].split()).rstrip("."),
        "slots": list(filled_slots(cls())),
        "networks": getattr(cls, "networks", 1),
        "paper": " ".join(paragraphs[1].split()) if len(paragraphs) > 1 else "",
        "fields": [_field(p, meanings.get(p.name, "")) for p in hyperparameters(cls)],
        "presets": {key: dict(values) for key, values in getattr(cls, "presets", {}).items()},
        "drop_in": kind,
        "drop_in_with": to_be_given(cls),
        "by_hand": [slot for slot in getattr(cls, "by_hand", ()) if slot in filled_slots(cls())],
        "drop_in_line": line,
        "combines": legal,
        "refused": refused,
        "recipes": [one for one in recipes.names() if recipes.read(one)["method"] == name],
    }


def text_of(cls: type) -> str:
    """The docstring of a method's file."""
    return inspect.getdoc(inspect.getmodule(cls)) or ""


def citation(paper: str) -> str:
    """Authors, venue and year of the first paper that a paragraph names; empty where there is none.

    Example:
        >>> citation('Zhang and Sabuncu, "Generalized Cross Entropy Loss", NeurIPS 2018 (arXiv 1805.07836), equation 6')
        'Zhang and Sabuncu, NeurIPS 2018'
    """
    found = _CITATION.search(paper)
    return f"{found['who']}, {found['where']}" if found else ""


def attributes(cls: type) -> dict[str, str]:
    """What a class's docstring says of each field.

    Example:
        >>> attributes(zoo.load("gce"))["q"]
        '0 would be cross-entropy, 1 is mean absolute error.'
    """
    _, _, section = (inspect.getdoc(cls) or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    for line in section.split("\n\n")[0].splitlines():
        named = re.match(r"^ {4}(\w+): (.*)$", line)
        if named:
            name = named[1]
            found[name] = named[2].strip()
        elif found:
            found[name] += f" {line.strip()}"
    return found


def _field(parameter: Hyperparameter, meaning: str) -> dict[str, Any]:
    low, high = parameter.search or (None, None)
    least, most = (None if math.isinf(bound) else bound for bound in parameter.bounds)
    default = parameter.default
    return {
        "name": parameter.name,
        "type": parameter.type,
        "default": list(default) if isinstance(default, tuple) else default,
        "letter": parameter.letter,
        "low": low,
        "high": high,
        "least": least,
        "most": most,
        "choices": None if parameter.choices is None else list(parameter.choices),
        "meaning": meaning,
    }


def drop_in(method: Method) -> tuple[str | None, str]:
    """What a method can be in a foreign loop, and the line of code for it, or the reason why it can be nothing.

    Example:
        >>> drop_in(zoo.method("l2rw"))[0] is None
        True
    """
    name = name_of(method)
    given = "".join(f", {field}=..." for field in to_be_given(method))
    why = ""
    for kind, slots, what in (("loss", LOSS_SLOTS, "a loss"), ("optimizer", OPTIMIZER_SLOTS, "an optimiser")):
        try:
            check_drop_in([method], slots, what)
        except UsageError as error:
            why = why or str(error)
        else:
            return kind, _OPENING[kind].format(method=f'"{name}"{given}')
    return None, why


@cache
def _refusal(one: str, other: str) -> str | None:
    """Why two methods cannot be listed together, in a sentence that calls the second `the other`; None if they can."""
    try:
        check_legal([zoo.method(one), zoo.method(other)])
    except UsageError as error:
        return re.sub(rf"\b{re.escape(other)}\b", "the other", str(error))
    return None


def combinations(name: str) -> tuple[list[str], list[dict[str, Any]]]:
    """The methods that may be listed with one, and the others by the reason, every pair tried.

    Example:
        >>> legal, refused = combinations("mixup")
        >>> "gce" in legal, [reason["why"] for reason in refused if "elr" in reason["methods"]]
        (True, ["mixup mixes samples, and the other needs each sample's own prediction: choose one"])
    """
    reasons: dict[str, list[str]] = {}
    legal: list[str] = []
    for other in zoo.names():
        why = None if other == name else _refusal(name, other)
        if why is not None:
            reasons.setdefault(why, []).append(other)
        elif other != name:
            legal.append(other)
    return legal, [{"why": why, "methods": others} for why, others in reasons.items()]
