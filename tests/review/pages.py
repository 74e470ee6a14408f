"""Reviews served inside this process to a real browser, and data for them."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import uvicorn
from PIL import Image

from thresher.data import Reading
from thresher.decisions import Log, read
from thresher.decisions.decision import Decision
from thresher.decisions.folding import fold
from thresher.findings.stored import Stored
from thresher.review import app, content, queue
from thresher.review.cards import Cards
from thresher.review.deck import Deck
from thresher.review.security import Door
from thresher.review.session import Session

PETS = ("bird", "cat", "dog")


@dataclass
class Review:
    """A table of issues with its data; `serve` shows it."""

    issues: pd.DataFrame
    classes: Sequence[str]
    source: Path
    reading: Reading = field(default_factory=Reading)
    stored: Stored | None = None

    @contextlib.contextmanager
    def serve(self, log: Path, **options: Any) -> Iterator["Served"]:
        """Serve the page until the end of the ``with``; `options` go to `queue.build`."""
        cards = Cards.of(self.issues, self.classes)
        keys = self.issues["key"].to_numpy(dtype=object)
        shown = content.of_data(str(self.source), self.reading, None, keys)
        with Log(log) as file, socket.create_server(("127.0.0.1", 0)) as listening:
            deck = Deck(Session(queue.build(cards, **options), file, "ann"), shown, self.stored, self.source.name)
            door = Door("secret", listening.getsockname()[1])
            guarded = app.build(deck, door, command="thresher correct issues.csv --policy review --out corrected.csv")
            server = uvicorn.Server(uvicorn.Config(guarded, log_level="critical", lifespan="off", ws="none"))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            try:
                yield Served(door.address, log)
            finally:
                server.should_exit = server.force_exit = True
                thread.join()


@dataclass(frozen=True)
class Served:
    """A page that is being served."""

    url: str
    log: Path

    @property
    def records(self) -> list[Decision]:
        return read(self.log)

    @property
    def current(self) -> dict[str, tuple[str, str | None]]:
        """What is decided, by key."""
        return {key: (one.action, one.label) for key, one in fold(self.records).all_current().items()}

    def wait(self, records: int, seconds: float = 10.0) -> list[Decision]:
        """The records, once there are so many."""
        end = time.monotonic() + seconds
        while len(self.records) < records and time.monotonic() < end:
            time.sleep(0.01)
        assert len(self.records) == records
        return self.records


def table(keys: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
    """Issues whose given labels go through the classes, each suggested the next class, the first keys the worst."""
    place = np.arange(len(keys))
    names = np.array(classes, dtype=object)
    return pd.DataFrame(
        {
            "key": keys,
            "row": place,
            "given": names[place % len(names)],
            "suggested": names[(place + 1) % len(names)],
            "p_suggested": 0.9,
            "label_quality": 0.1,
            "p_wrong": 0.99 - 0.9 * place / len(keys),
            "is_label_issue": True,
            "reasons": "its loss stayed high; 9 of its 10 nearest neighbours differ",
            "score_loss": 1.0,
            "kind": np.array(["wrong", "ambiguous"], dtype=object)[place % 2],
        }
    )


def evidence(count: int, classes: int) -> Stored:
    """Probabilities that rise to the suggested class, and the next rows as neighbours."""
    place = np.arange(count)
    chances = np.full((count, classes), 0.1 / classes)
    chances[place, place % classes] += 0.2
    chances[place, (place + 1) % classes] += 0.7
    index = (place[:, None] + np.arange(1, 6)) % count
    return Stored(place, chances.astype(np.float32), index.astype(np.int32), np.linspace(0.1, 0.5, 5)[None] + 0 * index)


def pictures(folder: Path, names: Sequence[str], files: Sequence[str], count: int = 24) -> Review:
    """Image files in class folders; row i is in class i modulo their number."""
    keys = [f"{names[i % len(names)]}/{i:02}{files[i % len(files)]}.png" for i in range(count)]
    for i, key in enumerate(keys):
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        side = 8 if i % 2 else 48
        Image.new("RGB", (side, side), (10 * i % 256, 90, 160)).save(folder / key)
    return Review(table(keys, names), names, folder, stored=evidence(count, len(names)))


def texts(path: Path, rows: Sequence[str], names: Sequence[str]) -> Review:
    """A table with texts and another column."""
    issues = table([str(i) for i in range(len(rows))], names)
    pd.DataFrame({"body": rows, "label": issues["given"], "<b>from</b>": "here"}).to_csv(path, index=False)
    return Review(issues, names, path, Reading(text="body"), evidence(len(rows), len(names)))


def many(path: Path, count: int, classes: int) -> Review:
    """So many images of 8 x 8 pixels in one file."""
    names = [f"class {k:03}" for k in range(classes)]
    keys = [str(i) for i in range(count)]
    shades = (np.arange(count) % 256).astype(np.uint8)
    x = np.broadcast_to(shades[:, None, None], (count, 8, 8))
    np.savez(path, x=x, y=np.arange(count) % classes, allow_pickle=False)
    return Review(table(keys, names), names, path)
