"""The stage ``split``: which images of the training part are trained on, and which are held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from distillery.core.columns import read_columns
from distillery.core.errors import UserError
from distillery.core.randomness import generator, seed_for
from distillery.data.info import DataSetInfo, part_file
from distillery.data.settings import Split

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace


Settings = Split


def run(work: Workspace) -> None:
    """Write ``train.csv`` and ``validation.csv`` (columns index and label, sorted by index).

    Raises:
        UserError: a class has too few images.
    """
    settings = Settings.model_validate(work.run.settings)
    prepared = work.inputs["prepared"]
    column = read_columns(prepared.file(part_file("train")), ("label",))["label"]
    labels = column.to_numpy().astype(np.int64)
    train, validation = divide(labels, settings, DataSetInfo.load(prepared).classes)
    for name, index in (("train", train), ("validation", validation)):
        table = pd.DataFrame({"index": index, "label": labels[index]})
        table.to_csv(work.out / f"{name}.csv", index=False, lineterminator="\n")


def divide(
    labels: np.ndarray, settings: Split, classes: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the training and the validation set.

    Args:
        labels: (N,) labels of the training part.
        settings: how much to draw of it.
        classes: names of the classes, for messages.

    Returns:
        Two sorted, disjoint arrays (n,) and (m,) of positions in ``labels``.

    Raises:
        UserError: a class has too few images; the message names it.
    """
    pool, validation = np.arange(len(labels)), np.arange(0)
    if settings.validation_fraction:
        seed = seed_for(settings.seed, "validation") % 2**32
        validation, pool = _share(pool, labels, settings.validation_fraction, seed, classes)
        _require_every_class(pool, labels, 1 - settings.validation_fraction, classes)
    wanted = settings.images_per_class
    if wanted is not None:
        return _some_of_each(pool, labels, wanted, settings.seed, classes), validation
    if settings.fraction < 1:
        # The plain seed: with the same one, published few-shot runs drew the same images.
        return _share(pool, labels, settings.fraction, settings.seed, classes)[0], validation
    return pool, validation


def _share(
    pool: np.ndarray, labels: np.ndarray, share: float, seed: int, classes: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return a stratified share of ``pool``, and the rest of it, both sorted."""
    from sklearn.model_selection import StratifiedShuffleSplit

    splitter = StratifiedShuffleSplit(
        n_splits=1, train_size=round(share * len(pool)), random_state=seed
    )
    try:
        chosen, rest = next(splitter.split(pool, labels[pool]))
    except ValueError:
        # Scikit-learn wants one image of each class, on average, on either side.
        chosen, rest = np.arange(0), np.arange(len(pool))
    _require_every_class(pool[chosen], labels, share, classes)
    return np.sort(pool[chosen]), np.sort(pool[rest])


def _some_of_each(
    pool: np.ndarray, labels: np.ndarray, wanted: int, seed: int, classes: tuple[str, ...]
) -> np.ndarray:
    """Return ``wanted`` images of each class; smaller draws are part of larger ones."""
    chosen = []
    for label, name in enumerate(classes):
        members = pool[labels[pool] == label]
        if len(members) < wanted:
            raise UserError(
                f"class '{name}': {wanted} training images wanted, {len(members)} available"
            )
        chosen.append(generator(seed, "per class", label).permutation(members)[:wanted])
    return np.sort(np.concatenate(chosen))


def _require_every_class(
    chosen: np.ndarray, labels: np.ndarray, share: float, classes: tuple[str, ...]
) -> None:
    available = np.bincount(labels, minlength=len(classes))
    counts = np.bincount(labels[chosen], minlength=len(classes))
    if counts.min() == 0:
        label = int(np.where(counts == 0, available, available.max() + 1).argmin())
        raise UserError(
            f"class '{classes[label]}': a share of {share:g} wanted, which is no image of the "
            f"{available[label]} available"
        )
