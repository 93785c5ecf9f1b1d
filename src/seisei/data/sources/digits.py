"""scikit-learn's 1,797 handwritten digits of 8 x 8 pixels."""

from __future__ import annotations

import numpy as np

from seisei.data.source import ArraySource, Record


def digits_source() -> ArraySource:
    """The digits: 17 gray levels, ten classes, no download.

    Reference: *Optical Recognition of Handwritten Digits* (Alpaydin and Kaynak, 1998), UCI Machine Learning Repository.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    array = data.images.astype(np.uint8)[..., None]
    records = [Record(f"{i:04d}", str(label)) for i, label in enumerate(data.target)]
    return ArraySource("digits of scikit-learn", "digits", array, 17, records, tuple("0123456789"), "digits")
