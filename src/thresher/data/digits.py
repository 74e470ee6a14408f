"""scikit-learn's handwritten digits: 1,797 images of 8 x 8, small enough to try anything in seconds."""

import numpy as np
import torch

from thresher.data.columns import row_keys
from thresher.data.samples import Data, Samples
from thresher.data.split import split

CLASSES = tuple(str(digit) for digit in range(10))
CONFUSIONS = {7: 1, 2: 7, 3: 8, 5: 6, 6: 5}
"""The pairs of digits that asymmetric noise confuses (7 > 1, 2 > 7, 3 > 8, 5 <> 6)."""

_TEST = 360
_SEED = 0


def load_digits(name: str = "digits") -> Data:
    """The digits, divided into 1,437 training and 360 test rows: stratified, and always the same rows.

    Images are uint8 ``[N, 1, 8, 8]``, from 0..16 scaled to 0..255; a row's key is its number in scikit-learn's order.
    Source: E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI (the test set of it).

    Example:
        >>> data = load_digits()
        >>> len(data.train), len(data.test), tuple(data.train.inputs.shape[1:])
        (1437, 360, (1, 8, 8))
    """
    from sklearn import datasets  # takes a second to import, which only those pay who use it

    images, labels = datasets.load_digits(return_X_y=True)
    pixels = np.rint(images.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    every = Samples(torch.from_numpy(pixels), torch.tensor(labels, dtype=torch.int64), row_keys(len(labels)))
    train, test = split(labels, _TEST / len(labels), seed=_SEED)
    return Data(name, every.take(train), every.take(test), CLASSES, confusions=dict(CONFUSIONS))
