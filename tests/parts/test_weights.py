"""Which parameters a penalty on weights takes in: by shape and module, never by name."""

import torch
from torch import nn

from thresher.parts.weights import penalised


class Odd(nn.Module):
    """Names that mislead: a weight called bias, a bias called weight, and normalisations of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.ones(3, 4))
        self.weight = nn.Parameter(torch.ones(3))
        self.norms = nn.ModuleList(
            [
                nn.LayerNorm((2, 3)),
                nn.RMSNorm((2, 3)),
                nn.BatchNorm2d(3),
                nn.GroupNorm(1, 3),
                nn.InstanceNorm1d(3, affine=True),
            ]
        )
        self.layer = nn.Conv2d(3, 2, 1)


def with_gradients(net: nn.Module) -> nn.Module:
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    return net


def test_weights_are_told_by_shape_and_module() -> None:
    net = Odd()
    with_gradients(net)
    assert [id(p) for p in penalised(net, "weights")] == [id(net.bias), id(net.layer.weight)]
    assert len(penalised(net, "all")) == len(list(net.parameters()))


def test_a_list_of_parameters_is_judged_by_shape() -> None:
    net = with_gradients(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))
    listed = nn.ParameterList(net.parameters())
    assert [tuple(p.shape) for p in penalised(listed, "weights")] == [(3, 2)]


def test_what_does_not_learn_is_left_out() -> None:
    first = nn.Linear(2, 3)
    net = with_gradients(nn.Sequential(first, nn.Linear(3, 1)))
    first.weight.grad = None
    for scope, count in (("weights", 1), ("all", 3)):
        assert len(penalised(net, scope)) == count
