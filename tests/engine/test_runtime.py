"""Device names, precision, and one process; two processes are in `test_two_ranks`."""

import pytest
import torch
from tests.engine.jobs import toy_run

from thresher.engine.runtime import PeerLost, Runtime, parse_device
from thresher.errors import UsageError


@pytest.mark.parametrize(("name", "meaning"), [("cpu", ("cpu", 1)), ("cpu:1", ("cpu", 1)), ("cpu:4", ("cpu", 4))])
def test_processors(name: str, meaning: tuple[str, int]) -> None:
    assert parse_device(name) == meaning


@pytest.mark.parametrize("name", ["", "gpu", "cpu:0", "cpu:-1", "cpu:x", "0,", "0,x", "tpu:3"])
def test_names_without_meaning_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="means nothing here"):
        parse_device(name)


@pytest.mark.parametrize("name", ["cuda", "0", "0,2"])
def test_cuda_that_is_absent_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no CUDA device is available here: use cpu"):
        parse_device(name)
    assert parse_device("auto") == ("cpu", 1)


def test_cuda_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert parse_device("auto") == parse_device("cuda") == ("cuda", [0])
    assert parse_device("0,1") == ("cuda", [0, 1])
    with pytest.raises(UsageError, match="this machine has 2 CUDA devices"):
        parse_device("2")


def test_one_process_talks_to_nobody() -> None:
    alone = Runtime.start("cpu")
    rows = torch.randn(3, 2)
    assert alone.world == 1
    assert alone.mean(rows) is rows
    assert torch.equal(alone.gather(rows, 3), rows)
    assert alone.maximum(2.5) == 2.5
    alone.barrier()


def test_a_broken_connection_is_a_lost_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*words: object, **more: object) -> None:
        raise RuntimeError("Connection closed by peer [127.0.0.1]:1234")

    for name in ("all_reduce", "all_gather", "barrier"):
        monkeypatch.setattr(torch.distributed, name, broken)
    pair = Runtime(rank=0, world=2)
    for talk in (
        lambda: pair.mean(torch.ones(1)),
        lambda: pair.maximum(1.0),
        lambda: pair.gather(torch.ones(1), 2),
        pair.barrier,
    ):
        with pytest.raises(PeerLost, match="another process of this run ended"):
            talk()


def test_bf16_computes_inside_and_gives_float32() -> None:
    run = toy_run(runtime=Runtime(precision="bf16"))
    seen = []
    run.nets[0].head.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))  # type: ignore[union-attr]
    outputs = run.forward(0, torch.randn(4, 8))
    assert seen == [torch.bfloat16]
    assert outputs.logits.dtype == outputs.features.dtype == torch.float32
