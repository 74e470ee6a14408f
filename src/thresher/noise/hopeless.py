"""The warning of noise that no method can survive."""

import numpy as np

from thresher.noise.manifest import Noise


def hopeless(noise: Noise) -> str | None:
    """A warning, in one sentence, of noise that no method can survive; None if there is hope.

    The criterion: among the rows that carry some class's label, another true class is more frequent than the class
    itself (a tie still leaves hope), or none of its own rows kept its label. Then the labels by themselves point to the
    wrong class, and only clean examples could tell.

    Example:
        >>> from thresher.noise import apply
        >>> labels = np.repeat([0, 1], 10)
        >>> hopeless(apply(["asymmetric:0.4"], labels, ["cat", "dog"], seed=0, confusions={0: 1, 1: 0}))
        >>> hopeless(apply(["asymmetric:0.6"], labels, ["cat", "dog"], seed=0, confusions={0: 1, 1: 0}))
        "of the 10 rows labelled 'cat', 6 are truly 'dog' and only 4 'cat' (classes like this: 2 of 2): no method can \
learn from such labels, so use a lower rate"
    """
    own = np.diag(noise.counts)
    others = noise.counts - np.diag(own)
    lost = np.flatnonzero((others.max(0) > own) | ((own == 0) & (noise.counts.sum(1) > 0)))
    if not len(lost):
        return None
    label = lost[0]
    rows, worst = noise.counts[:, label].sum(), others[:, label].argmax()
    name, other = noise.classes[label], noise.classes[worst]
    found = f"no row is labelled {name!r} any more"
    if rows:
        counts = f"{others[worst, label]} are truly {other!r} and only {own[label]} {name!r}"
        found = f"of the {rows} rows labelled {name!r}, {counts}"
    share = f"classes like this: {len(lost)} of {len(noise.classes)}"
    return f"{found} ({share}): no method can learn from such labels, so use a lower rate"
