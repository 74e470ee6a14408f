"""The live state of a run as tensors and plain values: what a checkpoint holds, but for the tables."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from thresher.errors import ThresherError

if TYPE_CHECKING:
    from thresher.engine.run import Run


def flatten(tree: Any, tensors: dict[str, Tensor], path: str = "") -> Any:
    """Move the tensors of a nested structure into `tensors`, by path; what stays is JSON.

    Example:
        >>> found: dict[str, Tensor] = {}
        >>> flatten({"step": 3, "buffer": torch.ones(1)}, found), list(found)
        ({'dict': [['step', 3], ['buffer', {'tensor': '/1'}]]}, ['/1'])
    """
    if isinstance(tree, Tensor):
        tensors[path] = tree.detach().contiguous()
        return {"tensor": path}
    if isinstance(tree, dict):
        return {"dict": [[key, flatten(value, tensors, f"{path}/{k}")] for k, (key, value) in enumerate(tree.items())]}
    if isinstance(tree, list | tuple):
        kind = "tuple" if isinstance(tree, tuple) else "list"
        return {kind: [flatten(value, tensors, f"{path}/{k}") for k, value in enumerate(tree)]}
    return tree


def unflatten(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `flatten`."""
    if not isinstance(tree, dict):
        return tree
    ((kind, value),) = tree.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {key: unflatten(item, tensors) for key, item in value}
    items = [unflatten(item, tensors) for item in value]
    return tuple(items) if kind == "tuple" else items


def modules_of(run: "Run") -> dict[str, nn.Module]:
    """Every module whose weights belong to the run, by name."""
    nets = {f"net{k}": net for k, net in enumerate(run.nets)}
    averages = {f"average{k}": net for k, net in enumerate(run.averages)}
    return {**nets, **averages, **{f"module.{name}": module for name, module in run.modules.items()}}


def weights(run: "Run") -> dict[str, Tensor]:
    """All parameters and buffers, by module and name."""
    named = {name: module.state_dict() for name, module in modules_of(run).items()}
    named |= {f"module.{name}": waiting["weights"] for name, waiting in run.restored.items()}
    return {
        f"{name}/{key}": value.detach().contiguous().clone()  # clones: safetensors refuses tied weights
        for name, stored in named.items()
        for key, value in stored.items()
    }


def load_weights(run: "Run", stored: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Put stored weights into the modules that exist, and return those of modules that the methods create later."""
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in stored.items():
        name, _, rest = key.partition("/")
        parts.setdefault(name, {})[rest] = value
    for name, module in modules_of(run).items():
        if name in parts or not name.startswith("module."):  # a method may have made a module after these were stored
            module.load_state_dict(parts.pop(name))
    return {name.removeprefix("module."): part for name, part in parts.items()}


def state(run: "Run") -> dict[str, Any]:
    """Everything else that lives longer than a step, but for the tables."""
    return {
        "epoch": run.epoch,
        "when": run.when,
        "updates": run.updates,
        "position": {"verb": run.position.verb - 1, "done": run.position.done} if run.position.open else None,
        "optimizers": {name: optimizer.state_dict() for name, optimizer in run.optimizers.items()}
        | {name: waiting["optimizer"] for name, waiting in run.restored.items()},
        "values": dict(run.values),
        "scans": dict(run.scans),
        "world": run.runtime.world,
    }


def load_state(run: "Run", stored: dict[str, Any]) -> None:
    """Restore what `state` took."""
    run.epoch, run.when, run.updates = stored["epoch"], stored["when"], stored["updates"]
    position = stored["position"]
    if position is not None and stored["world"] != run.runtime.world:
        raise ThresherError(
            f"this checkpoint was taken inside an epoch by {stored['world']} processes: resume with as many, not "
            f"{run.runtime.world}"
        )
    run.position.resume_verb = -1 if position is None else position["verb"]
    run.position.resume_done = 0 if position is None else position["done"]
    for name, optimizer in run.optimizers.items():
        optimizer.load_state_dict(stored["optimizers"][name])
    run.values.update({name: value.to(run.device) for name, value in stored["values"].items()})
    run.scans = {verb: _to(rows, run.device) for verb, rows in stored["scans"].items()}


def _to(rows: Any, device: torch.device) -> Any:
    return tuple(part.to(device) for part in rows) if isinstance(rows, tuple) else rows.to(device)


def apart(run: "Run") -> dict[str, Tensor]:
    """What this rank holds apart from the others: batch-norm statistics and sums inside a pass."""
    buffers = {
        f"{name}/{key}": value.detach().contiguous()
        for name, module in modules_of(run).items()
        for key, value in module.named_buffers()
    }
    waiting = {
        f"module.{name}/{key}": value
        for name, kept in run.restored.items()
        for key, value in kept.get("apart", {}).items()
    }
    sums = {f"sum/{name}": run.values[name] for name in run.sums} | {"loss/": run.totals}
    before = {f"before/{name}": value for name, value in run.sums.items()}
    return {key: value.clone() for key, value in {**buffers, **waiting, **sums, **before}.items()}


@torch.no_grad()
def load_apart(run: "Run", stored: dict[str, Tensor]) -> None:
    """Restore what `apart` took."""
    modules = modules_of(run)
    for key, value in stored.items():
        name, _, rest = key.partition("/")
        if name == "loss":
            run.totals.copy_(value)
        elif name == "sum":
            run.values[rest] = value.to(run.device)
        elif name == "before":
            run.sums[rest] = value.to(run.device)
        elif name in modules:
            dict(modules[name].named_buffers())[rest].copy_(value)
        else:  # a module that its method asks for later
            kept = run.restored[name.removeprefix("module.")]
            kept["weights"][rest] = kept.setdefault("apart", {})[rest] = value.to(run.device)
