"""The contract that every method keeps, as checks to run on a method of your own.

    from thresher.testing import check_method

    def test_my_method():
        check_method(MyMethod())

Each check trains on toy data generated in memory, on the CPU, and takes well under a second; the first check over two
processes waits a few seconds for them to start. A check that fails raises an AssertionError that names the broken rule.
"""

import atexit
import contextlib
import copy
import dataclasses
import datetime
import math
import multiprocessing
import os
import pickle
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn, cast
from unittest import mock

import torch
import torch.distributed as dist
from torch import Tensor, nn

from thresher.engine.checkpoint import Checkpoints
from thresher.engine.combine import Combination, check_legal
from thresher.engine.evaluate import Held, Judge
from thresher.engine.method import EPOCH_SLOTS, Method, filled_slots, name_of
from thresher.engine.options import Optimizer, Options
from thresher.engine.randomness import generator, mix
from thresher.engine.run import Run
from thresher.engine.runtime import Runtime
from thresher.engine.study import Material, Study
from thresher.errors import UsageError
from thresher.parts.draws import normal

CLASSES, WIDTH = 3, 8
_HELD = 9
_NO_LEARNING = 1e-30
_PATIENCE = 120.0

TOY_OPTIONS = Options(epochs=2, batch=16, optimizer=Optimizer(lr=0.05), debug=True)
"""How the toy is trained."""


# ---- the toy


class ToyNet(nn.Module):
    """Eight features, a hidden layer of sixteen, with batch norm or without."""

    def __init__(self, outputs: int, batch_norm: bool = True) -> None:
        super().__init__()
        self.body = nn.Linear(WIDTH, 16)
        self.norm = nn.BatchNorm1d(16) if batch_norm else nn.Identity()
        self.head = nn.Linear(16, outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``[B, 16]`` and logits ``[B, outputs]``."""
        features = torch.relu(self.norm(self.body(x)))
        return features, self.head(features)


@dataclass(frozen=True)
class ToySource:
    """Features in memory; every view but `plain` adds noise that depends on the seed, the view and the row.

    Attributes:
        features: float32 ``[N, WIDTH]``.
    """

    features: Tensor

    def open(
        self, batches: Sequence[Tensor], views: Sequence[str], seed: int
    ) -> Iterator[dict[tuple[str, int], Tensor]]:
        """Show batches; any view name is accepted."""
        keys = [(name, views[:place].count(name)) for place, name in enumerate(views)]
        for rows in batches:
            yield {key: self._show(rows, key, seed) for key in keys}

    def _show(self, rows: Tensor, key: tuple[str, int], seed: int) -> Tensor:
        if key[0] == "plain":
            return self.features[rows]
        cells = rows[:, None] * WIDTH + torch.arange(WIDTH)
        return self.features[rows] + 0.1 * normal(mix(seed, *key[0].encode(), key[1]), cells, 0)


class Poisoned:
    """Stands where true labels would be; whoever looks breaks the contract."""

    def _refuse(self) -> NoReturn:
        raise AssertionError("a method read the true labels, which no training may see")

    def __getattr__(self, name: str) -> NoReturn:
        self._refuse()

    def __getitem__(self, index: object) -> NoReturn:
        self._refuse()

    @classmethod
    def __torch_function__(cls, *parts: object) -> NoReturn:
        cls()._refuse()


def toy(size: int = 51, batch_norm: bool = True) -> Material:
    """Toy data: three Gaussian classes, about a third of the labels wrong, nine held-out and nine trusted rows.

    Args:
        size: of the training set; 51 rows make two processes pad, 48 are equal batches everywhere.
        batch_norm: whether the network couples the rows of a batch.
    """
    source = generator(7)
    total = size + 2 * _HELD
    clean = torch.arange(total) % CLASSES
    centres = 2 * torch.randn(CLASSES, WIDTH, generator=source)
    features = centres[clean] + torch.randn(total, WIDTH, generator=source)
    wrong = torch.rand(total, generator=source) < 0.35
    given = torch.where(wrong, (clean + torch.randint(1, CLASSES, (total,), generator=source)) % CLASSES, clean)
    held, trusted = torch.arange(size, size + _HELD), torch.arange(size + _HELD, total)
    inputs = ToySource(features)
    return Material(
        source=inputs,
        rows=torch.arange(size),
        labels=given[:size],
        classes=CLASSES,
        factory=lambda outputs: ToyNet(outputs, batch_norm),
        valid=Held(inputs, held, given[held]),
        trusted=(trusted, clean[trusted]),
    )


class Stopped(Exception):
    """The toy training was stopped, right after a checkpoint."""


class StoppingCheckpoints(Checkpoints):
    """Take a checkpoint after every batch and every epoch, and stop after so many of them."""

    def __init__(self, folder: Path, left: list[int]) -> None:
        super().__init__(folder)
        self.left = left

    def due(self, run: Run) -> bool:
        """Always."""
        return True

    def save(self, run: Run, extra: dict[str, Any], selected: bool = False) -> Path:
        """Save, and perhaps stop."""
        path = super().save(run, extra, selected)
        self.left[0] -= 1
        if self.left[0] == 0:
            raise Stopped(str(path))
        return path


@dataclass
class ToyStudy(Study):
    """A study that keeps its runs for comparison, and can be stopped after so many checkpoints.

    Attributes:
        stop_after: number of checkpoints, over all fits; 0 for never.
        runs: of every fit, by name.
    """

    stop_after: int = 0
    runs: dict[str | None, Run] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left = [self.stop_after]

    def fit(self, name: str | None, *methods: Method, **rest: Any) -> Run:
        """One training; see `Study.fit`."""
        self.runs[name] = super().fit(name, *methods, **rest)
        return self.runs[name]

    def _checkpoints(self, name: str | None, settings: Options) -> Checkpoints | None:
        if self.folder is None:
            return None
        return StoppingCheckpoints(self.folder if name is None else self.folder / "fits" / name, self.left)


def toy_study(
    *methods: Method,
    material: Material | None = None,
    options: Options = TOY_OPTIONS,
    runtime: Runtime | None = None,
    folder: Path | None = None,
    stop_after: int = 0,
) -> ToyStudy:
    """A study of methods on toy data; call its `run`."""
    fresh = [replace(method) for method in methods]  # so that what a method hides in itself does not survive a stop
    return ToyStudy(
        Combination(fresh),
        options,
        material or toy(),
        runtime=runtime or Runtime(),
        folder=folder,
        stop_after=stop_after,
    )


# ---- what is compared


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


# ---- two processes


class Ranks:
    """Two processes joined by gloo on this machine, started on first use and kept for every later check."""

    def __init__(self, world: int = 2) -> None:
        self.world = world
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        self._folder: str | None = None
        atexit.register(self.close)

    def run(self, job: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Call ``job(runtime, *arguments)`` in every process, and return what each one returned.

        Both `job` and the classes of its arguments must be importable.

        Raises:
            AssertionError: a process raised, or did not answer.
        """
        if not self._pipes:
            self._start()
        message = pickle.dumps((sys.path, pickle.dumps((job, arguments))))
        for pipe in self._pipes:
            pipe.send_bytes(message)
        answers = [self._answer(pipe) for pipe in self._pipes]
        failed = [text for fine, text in answers if not fine]
        if failed:
            if None in failed:  # one never answered, so it may still wait inside a message: start anew next time
                self.close()
            raise AssertionError("\n".join(text or "a process ended or did not answer" for text in failed))
        return [result for _, result in answers]

    def _answer(self, pipe: Connection) -> tuple[bool, Any]:
        try:
            if not pipe.poll(_PATIENCE):
                return False, None
            answer: tuple[bool, Any] = pickle.loads(pipe.recv_bytes())  # noqa: S301 - from our own process
            return answer
        except (EOFError, OSError):
            return False, None

    def _start(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="thresher-ranks-")
        context = multiprocessing.get_context("spawn")
        for rank in range(self.world):
            ours, theirs = context.Pipe()
            arguments = (rank, self.world, f"{self._folder}/store", theirs)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def close(self) -> None:
        """End the processes."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.terminate()
            process.join()
        self._pipes, self._processes = [], []
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def join(rank: int, world: int, store: str) -> Runtime:
    """Join the processes that name the same file as one group, over this machine's own network address."""
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    patience = datetime.timedelta(seconds=_PATIENCE / 2)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world, timeout=patience)
    return Runtime(rank=rank, world=world)


def _serve(rank: int, world: int, store: str, pipe: Connection) -> None:
    """One process of `Ranks`: do jobs until the other side hangs up."""
    runtime = join(rank, world, store)
    with contextlib.suppress(EOFError, OSError):
        while True:
            path, payload = pickle.loads(pipe.recv_bytes())  # noqa: S301 - from our own parent
            sys.path[:] = path
            pipe.send_bytes(pickle.dumps(_attempt(runtime, payload)))


def _attempt(runtime: Runtime, payload: bytes) -> tuple[bool, Any]:
    try:
        job, arguments = pickle.loads(payload)  # noqa: S301 - from our own parent
        return True, job(runtime, *arguments)
    except Exception:
        return False, traceback.format_exc()


ranks = Ranks()
"""The two processes that serve every check of this one."""


def _on_this_rank(runtime: Runtime, methods: Sequence[Method], size: int, batch_norm: bool, lr: float) -> Any:
    """A toy training on one rank: the live state of every fit."""
    options = replace(TOY_OPTIONS, optimizer=Optimizer(lr=lr))
    study = toy_study(*methods, material=toy(size, batch_norm), options=options, runtime=runtime)
    study.run()
    return {str(name): shared(live(run, study.judges[name])) for name, run in study.runs.items()}


# ---- the checks


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
        one, other = ranks.run(_on_this_rank, methods, 51, True, 0.05)
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
        pair = ranks.run(_on_this_rank, methods, 48, False, _NO_LEARNING)[0]
        alone = _on_this_rank(Runtime(), methods, 48, False, _NO_LEARNING)
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
