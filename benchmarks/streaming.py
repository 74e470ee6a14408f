"""Images per second of an epoch from files: Thresher's streaming beside torchvision's ImageFolder and DataLoader.

    python benchmarks/streaming.py [--images 2000] [--sides 300 500] [--size 128] [--workers 2] [--out FILE.json]

Both read the same folder of JPEGs (of mixed sizes, quality 90; or the one of --folder), cut squares of --size
pixels, mirror and shift them at random, and give normalised float32 batches of 128 on the device. Epochs take turns,
A B B A, in one process, and the ratio is taken pair by pair: machines are noisy, ratios less so. Above 1, Thresher is
faster. Thresher's workers are threads of one process; DataLoader's are as many processes, kept between epochs.

`agreement` is how far the two plain pictures of an image lie apart (root mean square over 0..255): Thresher decodes
large JPEGs at a half, a quarter or an eighth of their size where more than enough pixels remain, and cuts the exact
centre, where torchvision rounds to whole pixels.
"""

import argparse
import datetime
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from thresher.bench import machine, typed
from thresher.data.files import Files, images_below
from thresher.data.images import survey
from thresher.data.streamed import Streamed

BATCH, CLASSES, PAD = 128, 10, 4


def make_folder(folder: Path, images: int, distinct: int, sides: tuple[int, int]) -> None:
    """Photograph-like JPEGs in class folders; beyond `distinct` ones, further names for the same files."""
    draws = np.random.default_rng(0)
    for number in range(images):
        path = folder / f"class{number % CLASSES}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number >= distinct:
            other = number % distinct
            path.hardlink_to(folder / f"class{other % CLASSES}" / f"{other:06d}.jpg")
            continue
        width, height = draws.integers(sides[0], sides[1] + 1, 2).tolist()
        coarse, fine = (draws.integers(0, 256, (side, side, 3)).astype(np.uint8) for side in (8, 100))
        smooth, detail = (
            Image.fromarray(one).resize((width, height), Image.Resampling.BICUBIC) for one in (coarse, fine)
        )
        Image.blend(smooth, detail, 0.25).save(path, quality=90)


def epoch_of(loader: Callable[[], Iterator[torch.Tensor]], device: torch.device) -> tuple[float, int]:
    """Seconds and images of one epoch."""
    started, count = time.perf_counter(), 0
    for batch in loader():
        count += len(batch)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started, count


def streamed(source: Streamed) -> Callable[[], Iterator[torch.Tensor]]:
    """Epochs of weak views, in a new order each time."""
    seeds = iter(range(1_000_000))

    def epoch() -> Iterator[torch.Tensor]:
        seed = next(seeds)
        order = torch.randperm(len(source), generator=torch.Generator().manual_seed(seed))
        for shown in source.open(order.split(BATCH), ("weak",), seed):
            yield shown["weak", 0]

    return epoch


def reference(
    folder: Path, size: int, moments: tuple[torch.Tensor, torch.Tensor], workers: int, device: torch.device
) -> Callable[[], Iterator[torch.Tensor]]:
    """The same by torchvision and DataLoader."""
    mean, std = ((moment / 255).tolist() for moment in moments)
    transform = v2.Compose(
        [
            *(v2.Resize(size), v2.CenterCrop(size)),
            *(v2.RandomCrop(size, padding=PAD), v2.RandomHorizontalFlip()),
            *(v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)),
        ]
    )
    loader = DataLoader(
        ImageFolder(folder, transform),
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )

    def epoch() -> Iterator[torch.Tensor]:
        for images, _ in loader:
            yield images.to(device, non_blocking=True)

    return epoch


def agreement(files: Files, count: int = 100) -> float:
    """Median root mean square between Thresher's and torchvision's plain pictures."""
    plain = v2.Compose([v2.Resize(files.size), v2.CenterCrop(files.size), v2.ToImage()])
    found = []
    for row in range(min(count, len(files))):
        ours = files.read(torch.tensor([row]))[0].double()
        with Image.open(files.paths[row]) as image:
            theirs = plain(image.convert("RGB")).double()
        found.append(float((ours - theirs).square().mean().sqrt()))
    return round(statistics.median(found), 2)


def compare(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Epochs of both in turn."""
    device = torch.device(args.device)
    started = time.perf_counter()
    files, _, _ = Files.open(images_below(folder), args.size, what="the folder", channels=3)
    opened = time.perf_counter()
    mean, std, _, _ = survey(files)
    surveyed = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    source = Streamed(files, augment=("crop", "flip"), device=device, moments=(mean, std), workers=args.workers)
    ours, theirs = streamed(source), reference(folder, args.size, (mean, std), args.workers, device)
    speeds: dict[str, list[float]] = {"thresher": [], "torchvision": []}
    for pair in range(args.pairs + 1):
        both = [("thresher", ours), ("torchvision", theirs)]
        for name, loader in both if pair % 2 else reversed(both):
            seconds, count = epoch_of(loader, device)
            speeds[name].append(count / seconds)
    a, b = (values[1:] for values in speeds.values())  # the first epoch starts processes and fills caches
    low, median, high = statistics.quantiles([x / y for x, y in zip(a, b, strict=True)], n=4)
    return {
        "ratio": round(median, 3),
        "quartiles": [round(low, 3), round(high, 3)],
        "images_per_second": {
            "thresher": round(statistics.median(a), 1),
            "torchvision": round(statistics.median(b), 1),
        },
        "agreement": agreement(files),
        "headers_per_second": round(len(files) / (opened - started)),
        "surveyed_per_second": round(len(files) / (surveyed - opened)),
        "peak_growth_mib": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024),
    }


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="of class folders; default one that is made for this")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--distinct", type=int, help="different files among them; default all")
    parser.add_argument("--sides", type=int, nargs=2, default=(300, 500), help="shortest and longest, in pixels")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        if args.folder is None:
            make_folder(Path(made), args.images, args.distinct or args.images, tuple(args.sides))
        results = compare(args.folder or Path(made), args)
    document = {
        "benchmark": "streaming",
        "command": "python " + typed(sys.argv, args.folder),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "settings": {
            "images": args.images,
            "sides": list(args.sides),
            "size": args.size,
            "batch": BATCH,
            "workers": args.workers,
            "pairs": args.pairs,
            "device": args.device,
        },
        "results": results,
    }
    print(json.dumps(results, indent=1))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
