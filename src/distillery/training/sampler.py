"""The order in which an epoch shows the training images."""

from __future__ import annotations

import numpy as np

from distillery.core.errors import UserError
from distillery.core.randomness import generator


def order(
    labels: np.ndarray, batch_size: int, instances: int | None, seed: int, epoch: int
) -> np.ndarray:
    """Return the rows of an epoch's images in the order in which they are shown.

    Args:
        labels: (n,) integers.
        batch_size: images a batch.
        instances: images of each class in a batch; None for a plain random order.
        seed: seed of the run.
        epoch: number of the epoch.

    Returns:
        (m,) int64, rows without repetition: all n, or with ``instances`` as many as fill whole
        batches of ``batch_size / instances`` different classes; the rest is left out this time.

    Raises:
        UserError: there are too few classes, or too few images of each.
    """
    random = generator(seed, "order", epoch)
    if instances is None:
        return random.permutation(len(labels))
    groups = _groups(labels, instances, random)
    chosen: list[np.ndarray] = []
    wanted = batch_size // instances
    left = np.array([len(of_class) for of_class in groups])
    while np.count_nonzero(left) >= wanted:
        # Classes with the most images left come first, or the last batches would lack classes.
        classes = np.lexsort((random.random(len(left)), -left))[:wanted]
        chosen += [groups[number][left[number] - 1] for number in classes]
        left[classes] -= 1
    if not chosen:
        raise UserError(
            f"training.instances: found {instances}; a batch of {batch_size} needs {instances} "
            f"images of each of {wanted} classes, and {np.count_nonzero(left)} classes have them"
        )
    return np.concatenate(chosen)


def _groups(labels: np.ndarray, instances: int, random: np.random.Generator) -> list[np.ndarray]:
    """Return for each class random groups of its images, (groups, instances)."""
    shuffled = random.permutation(len(labels))
    of_class = [shuffled[labels[shuffled] == label] for label in np.unique(labels)]
    return [rows[: len(rows) // instances * instances].reshape(-1, instances) for rows in of_class]
