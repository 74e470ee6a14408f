"""Weights that a user brings, for a network of torchvision or timm or one of ours."""

import hashlib
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from thresher.errors import ThresherError, UsageError
from thresher.foreign import read_torch
from thresher.nets.backbone import Backbone
from thresher.nets.blocks import Net

_ENDINGS = (".safetensors", ".pt", ".pth")
_NESTED = ("state_dict", "model")
_PREFIXES = ("module.", "model.")  # what wrappers of a network put before every name
_COUNT = ".num_batches_tracked"  # which files from before torch 0.4.1 lack, and nothing here reads
_CHOOSE = "give weights of that net, or choose the net that they are of"
_AGAIN = "save the weights with torch.save(net.state_dict(), path) or with safetensors"


def load_weights(net: Net, path: str | Path) -> str:
    """Put the weights of a file into a network, in place.

    The file holds a state dict, or one under ``state_dict`` or ``model``; ``module.`` and ``model.`` before all names
    are taken off. A network of torchvision or timm, and a ResNet, takes the names that its library gives to the layers,
    and every network its own. The classifier stays as it is where the file has none of its shape; all else must fit.

    Args:
        net: made by `thresher.nets.build`.
        path: of a .safetensors, .pt or .pth file; nothing in it can run code.

    Returns:
        The SHA-256 of the file, as 64 hexadecimal digits.

    Raises:
        UsageError: no such file, another kind of file, or weights that do not fit the network; it is left as it was.
        ThresherError: a damaged file, or one that names code.

    Example:
        >>> import tempfile, torch
        >>> from thresher.nets.linear import linear
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "net.pt"
        ...     torch.save({"state_dict": {"head.weight": torch.ones(2, 3), "head.bias": torch.zeros(2)}}, path)
        ...     net = linear((3,), 2)
        ...     len(load_weights(net, path)), net.head.weight.sum().item()
        (64, 6.0)
    """
    path = Path(path)
    found = _ours(net, _stripped(_tensors(path)))
    own = net.state_dict()
    head = {name for name in own if name.startswith("head.")}
    fits = all(name in found and found[name].shape == own[name].shape for name in head)
    counts = {name: value for name, value in own.items() if name.endswith(_COUNT)}
    body = counts | {name: value for name, value in found.items() if name not in head}
    _check(net, path, body, {name: value for name, value in own.items() if name not in head})
    net.load_state_dict({**own, **(found if fits else body)})
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tensors(path: Path) -> dict[str, Tensor]:
    """The state dict of a file, under its own names."""
    if path.suffix.lower() not in _ENDINGS:
        raise UsageError(f"{path} is no file of weights: give one that ends in {', '.join(_ENDINGS)}")
    if not path.is_file():
        raise UsageError(f"there is no file of weights {path}: check the path")
    if path.suffix.lower() == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise ThresherError(
                f"{path} cannot be read, it is damaged or something else ({error}): {_AGAIN}"
            ) from error
    found: dict[str, Any] = read_torch(path, _AGAIN)
    for key in _NESTED:
        found = found[key] if isinstance(found.get(key), dict) else found
    other = [name for name, value in found.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if other or not found:
        said = f"its entry {other[0]} is of type {type(found[other[0]]).__name__}" if other else "it is empty"
        raise UsageError(f"{path} holds no state dict, for {said}: {_AGAIN}")
    return found


def _stripped(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same without what wrappers put before every name."""
    for prefix in _PREFIXES * 2:  # one may wrap the other
        if all(name.startswith(prefix) for name in found):
            found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _ours(net: Net, found: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same under our names, where they are a library's."""
    if not isinstance(net.body, Backbone) or any(name.startswith("body.") for name in found):
        return found
    last = f"{net.body.last}."
    return {
        f"head.{name.removeprefix(last)}" if name.startswith(last) else f"body.model.{name}": value
        for name, value in found.items()
    }


def _check(net: Net, path: Path, found: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    """Refuse what does not fit, naming the first such entry as torchvision does, or as we do in our own networks."""
    start = "body.model." if isinstance(net.body, Backbone) else ""
    refuse = f"{path} does not fit net {net.name}"
    first = next((name for name, value in own.items() if value.ndim == 4), None)
    for name, value in found.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise UsageError(f"{refuse}, for {name.removeprefix(start)} holds NaN or infinite values: {_CHOOSE}")
    for name, value in own.items():
        said, given = name.removeprefix(start), found.get(name)
        if given is None:
            raise UsageError(f"{refuse}, for it has no {said}: {_CHOOSE}")
        if name == first and given.ndim == 4 and given.shape[1] != value.shape[1]:
            channels, ours = given.shape[1], value.shape[1]
            raise UsageError(
                f"{refuse}, for its first convolution {said} takes images of {channels} channels and these have "
                f"{ours}: give weights for {ours} channels, or none"
            )
        if given.shape != value.shape:
            raise UsageError(
                f"{refuse}, for {said} is {list(given.shape)} in the file and {list(value.shape)} in the net: {_CHOOSE}"
            )
    unknown = [name.removeprefix(start) for name in found if name not in own]
    if unknown:
        raise UsageError(f"{refuse}, which has no {unknown[0]}: {_CHOOSE}")
