"""What the network of a job sees: images in memory or streamed from their files, or features of a fixed network."""

from dataclasses import dataclass

import torch
from torch import Tensor

from thresher import nets
from thresher.data import Lazy
from thresher.data.resident import Resident, Shows
from thresher.data.streamed import Streamed
from thresher.data.variants import Variants
from thresher.frozen import HEAD, Frozen, looks
from thresher.jobs import Job
from thresher.nets.backbone import moments

Moments = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Inputs:
    """Training and test inputs as the network sees them, and what that network is.

    Attributes:
        train: source of all given rows.
        test: source of the test rows, or None.
        net: the name of the network that learns.
        moments: mean and deviation that images or features were normalised by.
        frozen: what stands in front of that network, or None.
    """

    train: Shows | Variants
    test: Shows | Variants | None
    net: str
    moments: Moments
    frozen: Frozen | None = None


def open_inputs(job: Job, device: torch.device) -> Inputs:
    """Open a job's inputs: in memory where they fit, streamed otherwise; as features, where the network is frozen."""
    data, options = job.data, job.options
    augment = data.augment if options.augment else ()
    source = _open(job, data.train.inputs, device, augment, _pretrained_moments(job))
    test = None if data.test is None else _open(job, data.test.inputs, device, (), source.moments)
    if not options.frozen:
        return Inputs(source, test, options.net, source.moments)
    net = nets.build(options.net, source.shape, len(data.classes))
    nets.load_weights(net, options.weights)
    net.to(device)
    features = looks(source, net, len(data.train))
    frozen = Frozen.of(net, features).to(device)
    tested = None if test is None or data.test is None else looks(test, net, len(data.test))
    variants = None if tested is None else Variants(frozen.standardised(tested))
    return Inputs(Variants(frozen.standardised(features)), variants, HEAD, source.moments, frozen)


def _open(
    job: Job, inputs: Tensor | Lazy, device: torch.device, augment: tuple[str, ...], moments: Moments | None
) -> Shows:
    on_gpu = device.type == "cuda"
    if isinstance(inputs, Tensor):
        return Resident(inputs, augment=augment, device=device, moments=moments, channels_last=on_gpu)
    workers = {"workers": job.options.workers} if job.options.workers else {}
    return Streamed(inputs, augment=augment, device=device, moments=moments, channels_last=on_gpu, **workers)


def _pretrained_moments(job: Job) -> Moments | None:
    """The normalisation that pretrained weights expect, or None for that of the data."""
    expected = moments(job.options.net) if job.options.weights else None
    if expected is None or job.data.train.inputs.shape[1] == len(expected[0]):
        return expected
    return expected[0].mean()[None], expected[1].mean()[None]
