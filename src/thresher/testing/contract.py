"""The checks of the contract: what every method must keep, each a function over one method or several."""

import contextlib
import copy
import dataclasses
import math
import pickle
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest import mock

import torch
from torch import Tensor

from thresher.engine.combine import Combination, check_legal
from thresher.engine.method import EPOCH_SLOTS, Method, filled_slots
from thresher.engine.run import Run
from thresher.engine.runtime import Runtime
from thresher.errors import UsageError
from thresher.testing.compare import difference, difference_of_studies, live, require, rule
from thresher.testing.processes import on_this_rank, ranks
from thresher.testing.toy import TOY_OPTIONS, Poisoned, Stopped, ToySource, ToyStudy, toy, toy_study

_NO_LEARNING = 1e-30


def check_frozen(*methods: Method) -> None:
    """A method is a value: frozen, hashable, equal to its copies, rebuilt by its own `repr`, and it pickles."""
    for method in methods:
        cls = type(method)
        with rule([method], "a method is a frozen dataclass, hashable, picklable and rebuilt by its repr"):
            require(dataclasses.is_dataclass(method), "it is not a dataclass")
            require(cls.__dataclass_params__.frozen, "it is not frozen")
            require(hash(method) == hash(copy.copy(method)), "equal methods have different hashes")
            text = repr(method).replace(cls.__qualname__, cls.__name__, 1)
            rebuilt = eval(text, {cls.__name__: cls, "inf": math.inf, "nan": math.nan})  # noqa: S307 - a method's own repr
            require(rebuilt == method, f"its repr {text} gives another method")
            copied = pickle.loads(pickle.dumps(method))  # noqa: S301 - pickled a moment ago
            require(copied == method, "it is another one after pickling")


def check_trains(*methods: Method) -> None:
    """Two epochs of toy data: finite weights, every declared slot really called, given labels and inputs untouched."""
    material = toy()
    before = [material.labels.clone(), cast(ToySource, material.source).features.clone()]
    called: set[str] = set()
    with rule(methods, "a method trains, and every slot it fills is really called"):
        with _slots_recorded(called):
            study = toy_study(*methods, material=material)
            run = study.run()
        wanted = {slot for method in methods for slot in filled_slots(method)} - {"suspicion", "suggestion"}
        require(wanted <= called, f"the slots {sorted(wanted - called)} were never called")
        for name, tensor in _tensors(live(run, study.judges[None])["net"]):
            require(bool(tensor.isfinite().all()), f"{name} is not finite after training")
        require(len(study.judges[None].history) == TOY_OPTIONS.epochs, "an epoch is missing from the history")
        after = [material.labels, cast(ToySource, material.source).features]
        require(difference(before, after) is None, "the given labels or the inputs were overwritten")
    check_knowledge(run)


def check_knowledge(run: Run) -> None:
    """What a trained run says about labels has one row per sample and no NaN."""
    with rule(run.method.methods, "suspicion is [N] and suggestion [N, C], without NaN"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a method may warn that two epochs are too few
        for name, rows in run.method.suspicion(run).items():
            require(rows.shape == (run.size,), f"the suspicion of {name} has the shape {tuple(rows.shape)}")
            require(not rows.isnan().any(), f"the suspicion of {name} has NaN")
        for name, rows in run.method.suggestion(run).items():
            require(
                rows.shape == (run.size, run.classes), f"the suggestion of {name} has the shape {tuple(rows.shape)}"
            )
            require(not rows.isnan().any(), f"the suggestion of {name} has NaN")


@contextlib.contextmanager
def _slots_recorded(called: set[str]) -> Iterator[None]:
    """Note every slot that any combination is asked for."""
    ask = Combination._of

    def noted(self: Combination, slot: str) -> Any:
        called.add(slot)
        return ask(self, slot)

    with mock.patch.object(Combination, "_of", noted):
        yield


def _tensors(tree: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(tree, Tensor):
        yield path, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _tensors(value, f"{path} {key}".strip())


def check_clean(*methods: Method) -> None:
    """No true label is read: the toy's are an object that raises when anybody looks."""
    with rule(methods, "a method never reads a true label"):
        poisoned = replace(toy(), clean=cast(Tensor, Poisoned()))
        toy_study(*methods, material=poisoned, options=replace(TOY_OPTIONS, monitor=False)).run()


def check_slots(*methods: Method) -> None:
    """A method with its own epoch combines with the slots it honours, and refuses the others."""
    for method in methods:
        if "epoch" not in filled_slots(method):
            continue
        honours = getattr(method, "honours", ())
        for slot in EPOCH_SLOTS:
            filler = dataclasses.make_dataclass(f"Filler{slot}", [], frozen=True, namespace={slot: lambda self: None})
            with rule(
                [method], f"an epoch refuses other methods in the slot {slot!r} exactly if it does not honour it"
            ):
                refused = _is_refused([method, filler()])
                alone = law_is_one(slot) and slot in filled_slots(method)
                require(refused == (slot not in honours or alone), "refused" if refused else "not refused")


def law_is_one(slot: str) -> bool:
    """Whether only one method of a combination may fill the slot."""
    return slot in ("loss", "epoch", "predictors", "fits")


def _is_refused(methods: Sequence[Method]) -> bool:
    try:
        check_legal(methods)
    except UsageError:
        return True
    return False


def check_neutral(*methods: Method) -> None:
    """With its `neutral` values a method is plain cross-entropy, bit for bit."""
    for method in methods:
        if not hasattr(method, "neutral"):
            continue
        with rule([method], f"the values {method.neutral} make it plain cross-entropy"):
            neutral, plain = toy_study(replace(method, **method.neutral)).run(), toy_study().run()
            where = difference(neutral.nets[0].state_dict(), plain.nets[0].state_dict())
            require(where is None, f"{where} differs after two epochs")


def check_resume(*methods: Method) -> None:
    """Stopped after every single batch and epoch, in every fit, and resumed: equal to the end, bit for bit."""
    with rule(methods, "a training that was stopped anywhere and resumed equals one that ran straight through"):
        straight = toy_study(*methods)
        straight.run()
        places = _stops(straight, methods, every=1)
        require(places >= TOY_OPTIONS.epochs, "it never gave a batch back to the run")
        for every in {places // 3 + 1, places // 2 + 1}:  # one process that goes on after a resume
            _stops(straight, methods, every)


def _stops(straight: ToyStudy, methods: Sequence[Method], every: int) -> int:
    """Train with a stop after `every` checkpoints, again and again, compare the end, and count the stops."""
    # A stop of this kind loses nothing that was written, so waiting for the disk would only take time.
    with tempfile.TemporaryDirectory() as folder, mock.patch("os.fsync"):
        stops: list[str] = []
        while True:
            study = toy_study(*methods, folder=Path(folder), stop_after=every)
            try:
                study.run()
                break
            except Stopped as stop:
                require(str(stop) not in stops, f"after {len(stops)} stops it came to the same place once more")
                stops.append(str(stop))
        where = difference_of_studies(straight, study)
        require(where is None, f"{where} differs after {len(stops)} stops")
        return len(stops)


def check_ranks(*methods: Method) -> None:
    """Two processes agree after training: networks, modules, optimisers, values, and the tables they gather."""
    with rule(methods, "two processes agree with each other after training"):
        one, other = ranks.run(on_this_rank, methods, 51, True, 0.05)
        where = difference(one, other)
        require(where is None, f"{where} differs between the processes")


def check_tables(*methods: Method, exact: bool = False) -> None:
    """Without learning, two processes fill the tables as one does; methods that couple rows are exempt.

    Args:
        methods: to combine.
        exact: bit for bit, which holds where matrix products of a row do not depend on the number of rows beside it.
    """
    if any(getattr(method, "couples_rows", False) or getattr(method, "mixes", False) for method in methods):
        return
    with rule(methods, "at learning rate zero two processes give the tables of one"):
        pair = ranks.run(on_this_rank, methods, 48, False, _NO_LEARNING)[0]
        alone = on_this_rank(Runtime(), methods, 48, False, _NO_LEARNING)
        _compare_tables(alone, pair, 0.0 if exact else 1e-5)


def _compare_tables(alone: Mapping[str, Any], pair: Mapping[str, Any], near: float) -> None:
    for fit, state in alone.items():
        require(state["table"].keys() == pair[fit]["table"].keys(), "they do not have the same tables")
        for name, rows in state["table"].items():
            torch.testing.assert_close(
                pair[fit]["table"][name], rows, rtol=near, atol=near, msg=f"table {name} differs"
            )


CHECKS: Mapping[str, Callable[..., None]] = {
    "frozen": check_frozen,
    "trains": check_trains,
    "clean": check_clean,
    "slots": check_slots,
    "neutral": check_neutral,
    "resume": check_resume,
    "ranks": check_ranks,
    "tables": check_tables,
}
"""Every check by name; each takes one method, or several to combine."""


def check_method(method: Method, *, ranks: bool = True) -> None:
    """Check that a method keeps the contract of the engine.

    Args:
        method: a method object; choose values with which two short epochs reach all of its code.
        ranks: also train in two processes; the method's class must then be importable.

    Raises:
        AssertionError: it does not; the sentence names the rule.

    Example:
        >>> import thresher as th
        >>> check_method(th.method("gce"), ranks=False)
    """
    for name, check in CHECKS.items():
        if ranks or name not in ("ranks", "tables"):
            check(method)
