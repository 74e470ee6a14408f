"""The run: data, networks, optimisers and tables, and the verbs that methods and epochs are written with."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad

from thresher.engine import passes
from thresher.engine.learning import average_buffers, average_gradients, follow, make_optimizer
from thresher.engine.options import Optimizer, Options
from thresher.engine.runtime import Runtime
from thresher.engine.step import Batch, Outputs
from thresher.engine.table import Fill, Gate, Project, Table, allocate, fill_rows, owned, shape_of
from thresher.errors import ThresherError
from thresher.randomness import mix, seed_default

if TYPE_CHECKING:
    from thresher.engine.combine import Combination

_NETWORK, _MODULE, _SCAN = 11, 12, 512


class Source(Protocol):
    """Where inputs come from: resident on the device, or streamed."""

    def open(
        self, batches: Sequence[Tensor], views: Sequence[str], seed: int
    ) -> Iterator[dict[tuple[str, int], Tensor]]:
        """Show the batches of a pass, one after the other; see `thresher.data.resident.Resident.open`."""
        ...


class Run:
    """One training: everything that lives longer than a step.

    Attributes:
        method: the combination of methods.
        options: every setting.
        source: where the inputs come from.
        rows: the source rows of this run's samples, int64 ``[N]``; sample i is ``source`` row ``rows[i]``.
        size: N.
        classes: number of real classes.
        outputs: number of network outputs, `classes` and the extra ones.
        labels: the labels in force, a table of int64; methods may correct them.
        given: the labels as given, int64 ``[N]``, never written.
        weights: of the samples, float32 ``[N]``, as they came with the labels, or None.
        targets: soft labels as they came, float32 ``[N, classes]``, or None.
        nets: the networks.
        epoch: number of the current epoch, from 0.
        when: the current fractional epoch, in [0, epochs).
        updates: optimiser steps done.
        seed: of every draw.
    """

    def __init__(
        self,
        method: "Combination",
        options: Options,
        *,
        source: Source,
        rows: Tensor,
        labels: Tensor,
        classes: int,
        factory: Callable[[int], nn.Module],
        runtime: Runtime | None = None,
        kept: Tensor | None = None,
        trusted: tuple[Tensor, Tensor] | None = None,
        weights: Tensor | None = None,
        targets: Tensor | None = None,
        folder: Path | None = None,
    ) -> None:
        self.method, self.options, self.source, self.rows = method, options, source, rows
        self.runtime = runtime or Runtime(precision=options.precision)
        if 0 < len(rows) < self.runtime.world:
            raise ThresherError(f"{len(rows)} samples cannot be shared by {self.runtime.world} processes: start fewer")
        self.device, self.seed = self.runtime.device, options.seed
        self.size, self.classes, self.outputs = len(rows), classes, classes + method.extra_classes
        self.kept, self.trusted_set, self.folder = kept, trusted, folder
        self.epoch, self.when, self.updates, self.epochs = 0, 0.0, 0, options.epochs
        self.accumulate, self.share, self.boundary = options.accumulate, 1.0, True
        self.position, self.gate = passes.Position(), Gate()
        self.tables: dict[str, Table] = {}
        self.values: dict[str, Tensor] = {}
        self.sums: dict[str, Tensor] = {}
        self.scans: dict[int, Any] = {}
        self.modules: dict[str, nn.Module] = {}
        self.joint: set[str] = set()
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.restored: dict[str, dict[str, Any]] = {}
        self.best_weights: dict[str, Tensor] | None = None
        self.totals = torch.zeros(2, dtype=torch.float64, device=self.device)
        self.after_batch: Callable[[], None] = lambda: None
        self._factory = factory
        self.nets = [self.make_net(k) for k in range(method.networks)]
        self.averages = [copy.deepcopy(net).requires_grad_(False) for net in self.nets if options.average]
        self._compiled = {id(net): torch.compile(net) for net in self.nets if options.compile}
        for k, net in enumerate(self.nets):
            self.optimizers[str(k)] = make_optimizer(net, options.optimizer)
        self.given = labels.to(self.device)
        self.weights = None if weights is None else weights.to(self.device)
        self.targets = None if targets is None else targets.to(self.device)
        self.labels = self.table("labels", dtype=torch.int64, fill=lambda rows: self.given[rows])
        self._first_bad = torch.full((), torch.inf, device=self.device)

    def make_net(self, number: int) -> nn.Module:
        """A fresh network on the device, its initial weights a function of the seed and its number."""
        seed_default(torch.device("cpu"), self.seed, _NETWORK, number)
        return self._factory(self.outputs).to(self.device)

    # ---- visiting samples

    def batches(
        self,
        *splits: Tensor | None,
        views: Sequence[str] = ("weak",),
        size: int | tuple[int, ...] | None = None,
        balanced: bool = False,
    ) -> Iterator[Any]:
        """One pass: every row of the first split once, in random order; the other splits cycle beside it.

        Args:
            splits: masks ``[N]`` or row numbers, the same on every rank; none means all rows.
            views: names of the inputs wanted, for instance ``("weak", "weak", "strong")``.
            size: samples per optimiser step, one number or one per split; default: the run's batch.
            balanced: classes take turns, rows of small classes come more than once.

        Yields:
            a `Batch`, or a tuple of one per split when there are several. Sets `when` and the learning rate.
        """
        splits = splits or (None,)
        wanted = size if isinstance(size, tuple) else (size or self.options.batch,) * len(splits)
        sizes = [max(1, one // (self.runtime.world * self.accumulate)) for one in wanted]
        for group in passes.iterate(self, splits, views, sizes, balanced):
            yield group if len(splits) > 1 else group[0]

    @torch.no_grad()
    def scan(
        self,
        fn: Callable[[Any, Batch], Any],
        nets: int | tuple[int | nn.Module, ...] = 0,
        view: str = "plain",
        into: Table | None = None,
    ) -> Any:
        """Visit every sample in order, without gradient and in evaluation mode.

        Args:
            fn: maps the outputs (one `Outputs`, or a tuple of them) and a batch to rows ``[B, ...]``, or to a tuple.
            nets: which networks predict.
            view: which view they see.
            into: a table that takes the rows instead of the caller; they stay with their owner.

        Returns:
            the rows ``[N, ...]`` on every rank, as `fn` shapes them; None with `into`.
        """
        verb = self.position.next_verb()
        passes.seed_after(self, verb)
        if self.position.is_finished(verb):
            return self.scans.get(verb)
        mine = owned(self.size, self.runtime.rank, self.runtime.world)
        chunks = mine.split(_SCAN)
        feed = self.source.open([self.rows[c] for c in chunks], (view,), mix(self.seed, self.epoch, verb))
        parts = []
        for chunk, shown in zip(chunks, feed, strict=True):
            index = chunk.to(self.device)
            batch = Batch(index, self.labels[index], shown)
            outputs = tuple(self.predict(net, *shown.values()) for net in ([nets] if isinstance(nets, int) else nets))
            part = fn(outputs[0] if isinstance(nets, int) else outputs, batch)
            if into is None:
                parts.append(part)
            else:
                into[index] = part
        if into is not None:
            return None
        rows = self._joined(parts)
        if self.position.phase == passes.EPOCH:
            self.scans[verb] = rows
        return rows

    def _joined(self, parts: list[Any]) -> Any:
        if isinstance(parts[0], tuple):
            return tuple(self.runtime.gather(torch.cat(column), self.size) for column in zip(*parts, strict=True))
        return self.runtime.gather(torch.cat(parts), self.size)

    def trusted(self, size: int, views: Sequence[str] = ("weak",)) -> Batch:
        """Trusted samples to stand beside the current batch; `label` is correct, `index` counts within their set."""
        if self.trusted_set is None:
            raise ThresherError("this method needs trusted samples: pass them with trusted= or --trusted")
        rows, labels = self.trusted_set
        apart = (self.runtime.rank,) if self.runtime.rank else ()  # each process sees samples of its own
        when = (self.seed, self.epoch, self.position.phase, self.position.verb, *apart)
        chosen = passes.trusted_rows(len(rows), size, when, self.position.done)
        shown = next(iter(self.source.open([rows[chosen]], views, mix(*when, self.position.done))))
        return Batch(chosen.to(self.device), labels[chosen].to(self.device), shown)

    def target(self, batch: Batch) -> Tensor:
        """What a batch is to be learned as, ``[B, outputs]``: one-hot labels, or the soft labels that were given."""
        if self.targets is None:
            return one_hot(batch.label, self.outputs).float()
        return pad(self.targets[batch.index], (0, self.outputs - self.classes))

    # ---- networks

    def network(self, net: int | nn.Module) -> nn.Module:
        """A network by number, or the module itself."""
        return self.nets[net] if isinstance(net, int) else net

    def forward(self, net: int | nn.Module, *inputs: Tensor, params: Mapping[str, Tensor] | None = None) -> Outputs:
        """Call a network on all inputs together ``[sum of B, ...]``; autocast inside, float32 out."""
        module = self.network(net)
        x = inputs[0] if len(inputs) == 1 else torch.cat(inputs)
        with self.runtime.autocast():
            if params is not None:
                features, logits = torch.func.functional_call(module, dict(params), (x,))
            else:
                features, logits = self._compiled.get(id(module), module)(x)
        return Outputs(logits.float(), features.float())

    @torch.no_grad()
    def predict(self, net: int | nn.Module, *inputs: Tensor, train: bool = False) -> Outputs:
        """Call a network without gradient, in evaluation mode unless `train`."""
        module = self.network(net)
        before = module.training
        if before != train:
            module.train(train)
        try:
            return self.forward(module, *inputs)
        finally:
            if before != train:
                module.train(before)

    def logits_at(self, net: int, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Logits at other parameters; float32, raw module, buffers untouched."""
        module = self.nets[net]
        buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
        logits: Tensor = torch.func.functional_call(module, {**params, **buffers}, (x,))[1]
        return logits

    def predictors(self) -> Sequence[int | nn.Module]:
        """What predicts: the averaged weights where the run keeps them, otherwise every network."""
        return self.averages or list(range(len(self.nets)))

    @torch.no_grad()
    def probabilities(self, *inputs: Tensor) -> Tensor:
        """The run's prediction, ``[B, classes]``: the mean of its predictors' softmax."""
        outputs = [self.predict(net, *inputs).logits[:, : self.classes] for net in self.method.predictors(self)]
        mean: Tensor = torch.stack([torch.softmax(logits, 1) for logits in outputs]).mean(0)
        return mean

    # ---- learning

    def update(self, loss: Tensor, *targets: int | str) -> None:
        """Backward, average gradients over ranks, gradient slots, optimiser step.

        Args:
            loss: the mean over this batch's rows; the run weighs it for ranks and micro-batches.
            targets: numbers of networks or names of modules to step; default network 0. Joint modules always step.

        Raises:
            ThresherError: the loss is not finite (on CUDA: told at the end of the epoch).
        """
        self._watch(loss)
        (loss if self.share == 1 else loss * self.share).backward()
        if not self.boundary:
            return
        names = [str(target) for target in targets or (0,)]
        for name in [*names, *sorted(self.joint - set(names))]:
            module = self.nets[int(name)] if name.isdecimal() else self.modules[name]
            average_gradients(module, self.runtime)
            self.method.gradient(self, module)
            self.optimizers[name].step()
            self.optimizers[name].zero_grad(set_to_none=True)
            if self.averages and name.isdecimal():
                decay = min(self.options.average, (1 + self.updates) / (10 + self.updates))
                follow(self.averages[int(name)], module, decay)
        self.updates += 1

    def _watch(self, loss: Tensor) -> None:
        self.totals += torch.stack([loss.detach() * self.share, torch.full_like(loss, self.boundary)])
        if self.device.type != "cpu":
            bad = torch.where(loss.detach().isfinite(), torch.inf, float(self.position.done))
            self._first_bad = torch.minimum(self._first_bad, bad)
        elif not loss.isfinite() and self.share > 0:
            self._stop_at(self.position.done)

    def check(self) -> None:
        """Raise what the checks of this epoch found without stopping the device."""
        if self.device.type != "cpu" and bool(self._first_bad.isfinite()):
            self._stop_at(int(self._first_bad))
        for table in self.tables.values():
            table.check()

    def _stop_at(self, step: int) -> None:
        raise ThresherError(
            f"the loss was no longer a finite number in epoch {self.epoch + 1} at step {step + 1}: the last good "
            "checkpoint is kept; lower the learning rate, or check the inputs"
        )

    def optimizer_of(self, module: nn.Module) -> torch.optim.Optimizer:
        """The optimiser that steps a network, or a module of this run."""
        named = {**{str(k): net for k, net in enumerate(self.nets)}, **self.modules}
        return next(self.optimizers[name] for name, known in named.items() if known is module)

    def rate(self, net: int | str = 0) -> float:
        """The learning rate in force."""
        return float(self.optimizers[str(net)].param_groups[0]["lr"])

    def mean(self, values: Tensor) -> Tensor:
        """The mean over ranks, elementwise."""
        return self.runtime.mean(values)

    # ---- state

    def table(
        self,
        name: str,
        width: int | tuple[int, ...] | None = None,
        fill: Fill = 0.0,
        dtype: torch.dtype = torch.float32,
        rate: float = 0.0,
        project: Project | None = None,
    ) -> Table:
        """The table of that name, created on first use; one row per sample, saved with the run.

        Args:
            name: unique in the run; `Step.table` adds the network's number.
            width: None for a scalar per row, a number for a vector, a shape for a map.
            fill: first value, or a function from row numbers (int64, on the device) to rows.
            dtype: of the rows.
            rate: learning rate of `Table.trainable` rows.
            project: applied to trained rows after each update.
        """
        table = self.tables.get(name)
        if table is None:
            mine = owned(self.size, self.runtime.rank, self.runtime.world).to(self.device)
            room = self.room_for(name, shape_of(len(mine), width), dtype)
            table = self.tables[name] = self.wrap(name, fill_rows(room, mine, fill))
        table.rate, table.project = rate or table.rate, project or table.project
        return table

    def room_for(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Room for this rank's rows: in memory, or in a mapped file when they exceed `options.table_memory`."""
        limit = self.options.table_memory * 1e9
        large = limit > 0 and math.prod(shape) * dtype.itemsize > limit
        if not large or self.folder is None or self.device.type != "cpu":
            return allocate(shape, dtype, self.device)
        return allocate(
            shape, dtype, self.device, self.folder / "tables" / f"{quote(name, safe='')}.{self.runtime.rank}"
        )

    def wrap(self, name: str, rows: Tensor) -> Table:
        """A table of this run around this rank's rows."""
        rank, world = self.runtime.rank, self.runtime.world
        gather = lambda part: self.runtime.gather(part, self.size)  # noqa: E731
        return Table(name, rows, size=self.size, rank=rank, world=world, gate=self.gate, gather=gather)

    def value(self, name: str, start: Tensor, reduce: str = "same") -> Tensor:
        """A tensor of state that belongs to no sample; write into it in place.

        Args:
            name: unique in the run.
            start: its first value.
            reduce: "same": every rank writes the same; "sum": what the ranks add is summed at the end of a pass.
        """
        if name not in self.values:
            self.values[name] = start.detach().clone().to(self.device)
        if reduce == "sum" and name not in self.sums:
            self.sums[name] = self.values[name].clone()
        return self.values[name]

    def module(
        self, name: str, factory: Callable[[], nn.Module], optimizer: Optimizer | None = None, joint: bool = False
    ) -> nn.Module:
        """An extra trainable module, created on first use; `joint` ones step with every update."""
        if name.isdecimal() or "/" in name:
            raise ThresherError(f"a module cannot be called {name!r}: use letters, for numbers name the networks")
        if name not in self.modules:
            seed_default(torch.device("cpu"), self.seed, _MODULE, *name.encode())
            self.modules[name] = factory().to(self.device)
            chosen, usual = optimizer or self.options.optimizer, self.options.optimizer
            self.optimizers[name] = make_optimizer(self.modules[name], chosen, chosen.lr / usual.lr)
            if name in self.restored:
                waiting = self.restored.pop(name)
                self.modules[name].load_state_dict(waiting["weights"])
                self.optimizers[name].load_state_dict(waiting["optimizer"])
            self._set_rate(self.optimizers[name])
        if joint:
            self.joint.add(name)
        return self.modules[name]

    # ---- called by passes

    def begin_pass(self) -> None:
        """Networks into training mode."""
        for module in [*self.nets, *self.modules.values()]:
            module.train()

    def begin_batch(self, done: int, steps: int, share: float) -> None:
        """Set the clock, the learning rates and what the batch weighs."""
        first = done - done % self.accumulate  # micro-batches of one step share its time, and so its learning rate
        self.when, self.share = self.epoch + first / steps, share
        self.boundary = (done + 1) % self.accumulate == 0 or done + 1 == steps
        for optimizer in self.optimizers.values():
            self._set_rate(optimizer)

    def _set_rate(self, optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            group["lr"] = self.options.rate(self.when) * group["share"]

    def end_batch(self) -> None:
        """A checkpoint may be taken here, at an accumulation boundary."""
        if self.boundary and self.position.phase == passes.EPOCH:
            self.after_batch()

    def end_pass(self) -> None:
        """Bring together what ranks hold apart: batch-norm statistics and summed values."""
        if self.runtime.world > 1:
            for module in [*self.nets, *self.modules.values(), *self.averages]:
                average_buffers(module.buffers(), self.runtime)
            for waiting in self.restored.values():
                average_buffers(waiting.get("apart", {}).values(), self.runtime)
            for name, before in self.sums.items():
                total = self.runtime.mean(self.values[name] - before) * self.runtime.world
                self.values[name].copy_(before + total)
        for name in self.sums:
            self.sums[name].copy_(self.values[name])
