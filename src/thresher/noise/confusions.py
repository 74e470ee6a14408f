"""The map of asymmetric noise as a person writes it: ``cat>dog, dog>cat``, or ``cat<>dog`` for both ways."""

from collections.abc import Sequence

from thresher.errors import UsageError, nearest


def class_map(text: str, classes: Sequence[str]) -> dict[int, int]:
    """Read a map by class names.

    Args:
        text: ``A>B`` (A is taken for B) or ``A<>B`` (and B for A), with commas between; spaces around names are
            ignored.
        classes: the K class names.

    Returns:
        From class to class, in the order of the text.

    Raises:
        UsageError: another form, an unknown class, a class that leads to itself, or one that leads to two others.

    Example:
        >>> class_map("cat<>dog, deer>horse", ["cat", "deer", "dog", "horse"])
        {0: 2, 2: 0, 1: 3}
        >>> class_map("cat>dgo", ["cat", "dog"])
        Traceback (most recent call last):
        ...
        thresher.errors.UsageError: the map has 'cat>dgo', and there is no class 'dgo': did you mean dog?
    """
    number = {name: k for k, name in enumerate(classes)}
    mapping: dict[int, int] = {}
    for part in text.split(","):
        both = "<>" in part
        names = [name.strip() for name in part.split("<>" if both else ">")]
        if len(names) != 2 or not all(names):
            raise UsageError(
                f"the map has {part.strip()!r}, which is not A>B or A<>B: write class names, such as cat>dog,dog>cat"
            )
        first, second = (_number(name, number, part.strip()) for name in names)
        for label, other in ((first, second), (second, first))[: 2 if both else 1]:
            _add(mapping, label, other, classes)
    return mapping


def _number(name: str, number: dict[str, int], part: str) -> int:
    if name not in number:
        raise UsageError(f"the map has {part!r}, and there is no class {name!r}: {nearest(name, number)}")
    return number[name]


def _add(mapping: dict[int, int], label: int, other: int, classes: Sequence[str]) -> None:
    if label == other:
        raise UsageError(f"the map leads {classes[label]!r} to itself: leave it out or mend it")
    if label in mapping:
        raise UsageError(
            f"the map leads {classes[label]!r} twice, to {classes[mapping[label]]!r} and {classes[other]!r}: keep one, "
            "or use transition noise"
        )
    mapping[label] = other
