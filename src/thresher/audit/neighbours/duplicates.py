"""Samples that are equal or nearly so, and whose labels contradict each other."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from thresher.audit.neighbours.nearest import Neighbours, check
from thresher.errors import UsageError

_NEAR = 0.1
_DIGEST = 16  # bytes: a collision among a billion samples has a chance of 1e-21


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Groups of samples that are equal or nearly so.

    Attributes:
        group: number of the sample's group, in the order of the groups' first samples, int64 ``[N]``; -1 for none.
        conflict: whether its group has another label, too, bool ``[N]``.
        of: the nearest sample of the group with another label, int64 ``[N]``; -1 for none.
    """

    group: np.ndarray
    conflict: np.ndarray
    of: np.ndarray


def near_duplicates(
    neighbours: Neighbours, labels: np.ndarray, *, near: float = _NEAR, threshold: float | None = None
) -> Duplicates:
    """Group samples that lie far closer together than samples of this data do.

    Two samples belong together if one is among the other's neighbours at a distance of 0, or of at most `near` times
    both the median distance to the nearest neighbour that is no copy, over all samples, and the distance to the last
    neighbour, of either of the two. The second bound is for the dense parts of a feature space, where any two samples
    are close by the measure of all: copies must be closer than what surrounds them. So near (not equal) copies are
    found in groups of no more than k, and where fewer than half of the samples have one (give a `threshold` otherwise).
    Groups are joined where they share a sample. A tenth of a cosine distance is a third of an angle, so under the
    cosine more samples count as near.

    Args:
        neighbours: of N samples.
        labels: given labels, integer ``[N]``.
        near: share of the two distances, 0 to 1.
        threshold: a distance to use instead of both.

    Returns:
        `Duplicates`.

    Raises:
        UsageError: arrays that do not fit together, or a share out of range.

    Example:
        >>> index = np.array([[1, 2], [0, 2], [3, 1], [2, 1]])
        >>> distance = np.array([[0.01, 2.0], [0.01, 2.0], [1.0, 2.0], [1.0, 2.0]])
        >>> found = near_duplicates(Neighbours(index, distance), np.array([0, 1, 1, 1]))
        >>> found.group.tolist(), found.conflict.tolist(), found.of.tolist()
        ([0, 0, -1, -1], [True, True, False, False], [1, 0, -1, -1])
    """
    given = _labels(labels)
    check(neighbours, len(given), own=True)
    if not 0 <= near <= 1:
        raise UsageError(f"near is {near}: it must be a share of the usual distance, 0 to 1")
    if threshold is not None and not threshold >= 0:
        raise UsageError(f"threshold is {threshold}: it must be a distance, 0 or more")
    index, distance = neighbours.index, neighbours.distance
    limit = _limits(index, distance, near) if threshold is None else np.full(index.shape, threshold)
    first, place = np.nonzero(distance <= limit)
    second = index[first, place].astype(np.int64)
    group = _components(first, second, len(given))
    return _judged(group, given, (first, second, distance[first, place]))


def exact_duplicates(inputs: Iterable[Any], labels: np.ndarray) -> Duplicates:
    """Group samples whose inputs are equal, byte for byte, by a 128-bit hash (BLAKE2b).

    Args:
        inputs: N samples, one after the other: the rows of an array or a tensor, strings, or bytes such as the
            contents of files. Only the hashes are kept.
        labels: given labels, integer ``[N]``.

    Returns:
        `Duplicates`; `of` is the first sample of the group with another label.

    Raises:
        UsageError: another number of inputs than of labels, or inputs of another kind.

    Example:
        >>> exact_duplicates(["good", "bad", "good"], np.array([1, 0, 0])).of.tolist()
        [2, -1, 0]
    """
    given = _labels(labels)
    digests = b"".join(
        hashlib.blake2b(_content(one, row), digest_size=_DIGEST).digest() for row, one in enumerate(inputs)
    )
    if len(digests) != _DIGEST * len(given):
        raise UsageError(f"there are {len(digests) // _DIGEST} inputs for {len(given)} labels")
    codes = np.frombuffer(digests, dtype=f"V{_DIGEST}")
    _, first, group, count = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
    alone = count[group] == 1
    nothing = np.empty(0, dtype=np.int64)
    return _judged(
        np.where(alone, -1, _numbered(first[group], np.flatnonzero(~alone))), given, (nothing, nothing, nothing)
    )


def joined(one: Duplicates, other: Duplicates, labels: np.ndarray) -> Duplicates:
    """Groups that hold what either of two findings put together, such as equal inputs and near features.

    Args:
        one: the first finding; where both name a sample with another label, its stays.
        other: the second.
        labels: given labels, integer ``[N]``.

    Returns:
        `Duplicates`.

    Raises:
        UsageError: findings of other samples.

    Example:
        >>> labels = np.array([0, 0, 1])
        >>> a, b = exact_duplicates(["x", "x", "y"], labels), exact_duplicates(["x", "y", "y"], labels)
        >>> joined(a, b, labels).group.tolist(), joined(a, b, labels).of.tolist()
        ([0, 0, 0], [2, 2, 1])
    """
    given = _labels(labels)
    if not len(one.group) == len(other.group) == len(given):
        raise UsageError(f"duplicates of {len(one.group)} and {len(other.group)} samples for {len(given)} labels")
    links = [_chain(found.group) for found in (one, other)]
    first, second = (np.concatenate([link[side] for link in links]) for side in (0, 1))
    known = np.where(one.of >= 0, one.of, other.of)
    pairs = np.flatnonzero(known >= 0)
    return _judged(_components(first, second, len(given)), given, (pairs, known[pairs], np.zeros(len(pairs))))


def _labels(labels: np.ndarray) -> np.ndarray:
    given = np.asarray(labels)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise UsageError(f"labels are {given.dtype} {list(given.shape)}: they must be class numbers [samples]")
    return given


def _limits(index: np.ndarray, distance: np.ndarray, near: float) -> np.ndarray:
    """The distance up to which each neighbour is a near duplicate, ``[N, k]``; never below 0."""
    apart = np.where(distance > 0, distance, np.inf).min(axis=1, initial=np.inf)
    apart = apart[np.isfinite(apart)]
    if not apart.size:
        return np.zeros(distance.shape)
    last = distance[:, -1]
    return np.asarray(near * np.minimum(np.median(apart), np.minimum(last[:, None], last[index])))


def _components(first: np.ndarray, second: np.ndarray, samples: int) -> np.ndarray:
    """Numbers of the groups that these pairs join, int64 ``[N]``, in the order of their first samples; -1 for none."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(samples, samples))
    part = connected_components(links, directed=False)[1] if samples else np.empty(0, dtype=np.int64)
    lead = np.full(samples, samples)
    np.minimum.at(lead, part, np.arange(samples))
    alone = np.bincount(part, minlength=samples)[part] == 1
    return np.where(alone, -1, _numbered(lead[part], np.flatnonzero(~alone)))


def _numbered(lead: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Group numbers from the first sample of each sample's group, counting groups of `inside` only."""
    return np.searchsorted(np.unique(lead[inside]), lead)


def _chain(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that hold each group together: every sample with the next one of its group."""
    order = np.argsort(group, kind="stable")
    order = order[group[order] >= 0]
    same = group[order[1:]] == group[order[:-1]]
    return order[:-1][same], order[1:][same]


def _judged(group: np.ndarray, given: np.ndarray, pairs: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Duplicates:
    """Which samples have another label in their group, and where: the nearest of the pairs, else the first sample."""
    inside = np.flatnonzero(group >= 0)
    part, groups = group[inside], int(group.max(initial=-1)) + 1
    lead, other = np.full(groups, len(group)), np.full(groups, len(group))
    np.minimum.at(lead, part, inside)
    differs = given[inside] != given[lead[part]]
    np.minimum.at(other, part[differs], inside[differs])
    other[other == len(group)] = -1
    of = np.full(len(group), -1, dtype=np.int64)
    of[inside] = np.where(differs, lead[part], other[part])
    first, second, distance = (np.concatenate(x) for x in zip(pairs, (pairs[1], pairs[0], pairs[2]), strict=True))
    told = np.flatnonzero(given[first] != given[second])
    far_first = told[
        np.lexsort((-second[told], -distance[told]))
    ]  # of equal distances the lower sample is written last
    of[first[far_first]] = second[far_first]
    return Duplicates(group.astype(np.int64), of >= 0, of)


def _content(one: Any, row: int) -> bytes:
    """What is hashed: with its shape, so that equal bytes of another shape differ."""
    if isinstance(one, bytes):
        return one
    if isinstance(one, str):
        return one.encode("utf-8", "surrogatepass")
    array = one.cpu().numpy() if isinstance(one, Tensor) else np.asarray(one)
    if array.dtype.kind not in "fiubc":
        raise UsageError(f"input {row} is of type {array.dtype}: inputs must be numbers, strings or bytes")
    return f"{array.dtype} {array.shape} ".encode() + array.tobytes()
