"""The rooms of the package import one another as docs/design.md says, and never in a ring."""

import ast
import graphlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "thresher"
COMMON = {"errors", "disk", "randomness"}
UPWARD = {("result", "reporting")}
_ROW = re.compile(r"^\| `(\w+)/` \|.*\| ([\w, ]*)\|$", re.MULTILINE)


def imported(file: Path) -> Iterator[str]:
    """The rooms, and files beside them, that a file imports anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "thresher":
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("thresher."):
            yield str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (name.name.split(".")[1] for name in node.names if name.name.startswith("thresher."))


def rooms() -> dict[str, set[str]]:
    """What every room imports of the others."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in SOURCE.rglob("*.py"):
        room = file.relative_to(SOURCE).parts[0].removesuffix(".py")
        if room not in ("__init__", "__main__"):  # the package's own face
            found[room] |= {other for other in imported(file) if other != room}
    return found


def test_no_rings() -> None:
    down = {room: {other for other in others if (room, other) not in UPWARD} for room, others in rooms().items()}
    graphlib.TopologicalSorter(down).prepare()


def test_the_table_of_rooms_is_true() -> None:
    table = dict(_ROW.findall((ROOT / "docs" / "design.md").read_text(encoding="utf-8")))
    found = rooms()
    assert set(table) == {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    for room, said in table.items():
        if said.strip() != "any":
            assert {name for name in said.strip().split(", ") if name} == found[room] - COMMON, room
