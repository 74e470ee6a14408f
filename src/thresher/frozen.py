"""A pretrained network that stays as it is: its features are computed once, and only a linear layer learns.

That makes photos feasible on a CPU, and a few hundred of them enough.
"""

import safetensors.torch
import torch
from torch import Tensor, nn

from thresher import nets
from thresher.data.resident import Shows, feature_moments
from thresher.nets.blocks import Net

HEAD = "linear"
"""The network that learns on the features."""

_CHUNK = 64


def looks(source: Shows, net: Net, count: int) -> Tensor:
    """Features of every sample as it is, and mirrored where its weak view may be.

    Args:
        source: of the images.
        net: whose body gives the features, on the source's device.
        count: of samples, N.

    Returns:
        float32 ``[N, V, D]`` on the device, V = 1 or 2.
    """
    body = net.body.eval()
    mirrored = "flip" in source.augment
    chunks = torch.arange(count).split(_CHUNK)
    parts: list[Tensor] = []
    with torch.no_grad():
        for shown in source.open(chunks, ("plain",), 0):
            images = shown["plain", 0]
            seen = [body(images), body(images.flip(3))] if mirrored else [body(images)]
            parts.append(torch.stack([features.float() for features in seen], 1))
    return torch.cat(parts)


class Frozen(nn.Module):
    """A fixed body and standardised features in front of a layer that has learned on them.

    Args:
        body: from images to features ``[B, D]``.
        mean: of the features, ``[D]``.
        std: of the features, ``[D]``.
    """

    def __init__(self, body: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.body = body.requires_grad_(False).eval()
        self.mean, self.std = nn.Buffer(mean.float()), nn.Buffer(std.float())

    @classmethod
    def of(cls, net: Net, features: Tensor) -> "Frozen":
        """Around a pretrained network, standardising by the first look at each sample, ``[N, V, D]``."""
        mean, std = feature_moments(features[:, 0].cpu())
        return cls(net.body, mean, std)

    def standardised(self, features: Tensor) -> Tensor:
        """Features ``[..., D]`` brought to mean 0 and deviation 1 over the training samples."""
        return (features - self.mean.to(features.device)) / self.std.to(features.device)

    def forward(self, x: Tensor) -> Tensor:
        """Standardised features ``[B, D]`` of images ``[B, C, H, W]``."""
        return self.standardised(self.body(x))

    def saved(self) -> bytes:
        """All that is needed to make it again, as a safetensors file."""
        return bytes(safetensors.torch.save({name: t.contiguous() for name, t in self.state_dict().items()}))

    @classmethod
    def load(cls, content: bytes, name: str, shape: tuple[int, ...]) -> "Frozen":
        """What `saved` gave, for the network of that name and images of that shape."""
        state = safetensors.torch.load(content)
        made = cls(nets.build(name, shape, 2).body, torch.zeros_like(state["mean"]), torch.ones_like(state["std"]))
        made.load_state_dict(state)
        return made
