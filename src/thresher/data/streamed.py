"""Data that stays in its files: batches are decoded ahead by threads, and shown as resident ones are."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import torch
from torch import Tensor

from thresher.data.ahead import WORKERS, in_order
from thresher.data.images import survey
from thresher.data.reading import Lazy
from thresher.data.resident import Shows
from thresher.errors import ThresherError

_BATCHES = 3  # decoded or being decoded at a time
_PIECE = 16  # rows that one thread decodes at a time, at most

Piece = tuple[Tensor, Tensor, int, bool]
"""Part of a batch: its buffer, the rows to decode, where they go, and whether they complete it."""


class Streamed(Shows):
    """Inputs read when a batch needs them, shown as `Resident` shows them: the same numbers for rows and seed.

    Each open iterator has its own threads. They work a few batches ahead, and end with it, also when it is abandoned.

    Args:
        inputs: uint8 images ``[N, C, H, W]``, read by row.
        augment: parts of the weak view, of ``("crop", "flip")``; without any, `weak` is `plain`.
        device: where the views are made.
        moments: mean and standard deviation per channel that bring the views to 0 and 1, as a rule those of the
            training inputs; default those the inputs know of themselves, or else found by reading all of them.
        channels_last: give images in that memory format.
        workers: threads of one pass.

    Raises:
        UsageError: an unknown part in `augment`.
        ThresherError: moments are wanted, and an image cannot be read. Later, from the iterators: likewise.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from thresher.data.files import Files
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("/a.png", "/b.png"):
        ...         Image.new("RGB", (20, 30)).save(folder + name)
        ...     files, rows, skipped = Files.open([folder + "/a.png", folder + "/b.png"], what="photos")
        ...     source = Streamed(files, device=torch.device("cpu"))
        ...     source.fetch(torch.tensor([1, 0]), ("plain",), seed=0)["plain", 0].shape
        torch.Size([2, 3, 20, 20])
    """

    def __init__(
        self,
        inputs: Lazy,
        *,
        augment: tuple[str, ...] = (),
        device: torch.device,
        moments: tuple[Tensor, Tensor] | None = None,
        channels_last: bool = False,
        workers: int = WORKERS,
    ) -> None:
        super().__init__(inputs.shape, augment=augment, device=device, channels_last=channels_last)
        self._inputs, self.workers = inputs, workers
        self._normalise_by(moments or getattr(inputs, "moments", None) or _moments(inputs))

    def _read(self, batches: Sequence[Tensor], order: Tensor) -> Generator[Tensor, None, None]:
        piece = max(1, min(_PIECE, -(-max(map(len, batches)) // self.workers)))
        ahead = sum(-(-len(rows) // piece) for rows in batches[:_BATCHES])
        with closing(in_order(self._fill, self._pieces(batches, piece), self.workers, ahead)) as filled:
            for buffer, last in filled:
                if last:
                    yield buffer.to(self.device, non_blocking=True)

    def _pieces(self, batches: Sequence[Tensor], size: int) -> Iterator[Piece]:
        pinned = self.device.type == "cuda"
        for rows in batches:
            buffer = torch.empty(len(rows), *self.shape, dtype=torch.uint8, pin_memory=pinned)
            for start in range(0, max(1, len(rows)), size):
                yield buffer, rows[start : start + size], start, start + size >= len(rows)

    def _fill(self, piece: Piece) -> tuple[Tensor, bool]:
        buffer, rows, start, last = piece
        # numpy copies in this thread; torch would start threads of its own for every one of ours
        buffer.numpy()[start : start + len(rows)] = self._inputs.read(rows).numpy()
        return buffer, last


def _moments(inputs: Lazy) -> tuple[Tensor, Tensor]:
    mean, std, _, sentences = survey(inputs)
    if sentences:
        raise ThresherError(sentences[0])
    return mean, std
