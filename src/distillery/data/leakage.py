"""Data sets whose test images other data sets train on."""

from __future__ import annotations

import re

_CINIC10 = re.compile(r"cinic-?10(?!\d)")
_CIFAR10 = re.compile(r"cifar-?10(?!\d)")


def leakage_warning(source: str, teacher_origin: str) -> str | None:
    """Say why a network must not be used for a data set, or return None.

    CINIC-10's test part holds images that CIFAR-10 trains on: whoever starts from a network that
    was trained on CIFAR-10, or learns from one, has seen them (see the paper, arXiv:1810.03505).

    Args:
        source: id of the data source of the run.
        teacher_origin: what is known of where the network comes from: the id of the data source
            that it was trained on, or the name of its file.
    """
    if not _CINIC10.match(source.lower()) or not _CIFAR10.search(teacher_origin.lower()):
        return None
    return (
        f"{teacher_origin}: trained on CIFAR-10, whose training images are in part test images of "
        f"{source}; accuracies on {source} will be too high"
    )
