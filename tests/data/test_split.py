from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from distillery.core.errors import UserError
from distillery.data.settings import Split
from distillery.data.split import divide
from distillery.runs.artifact import Artifact

Make = Callable[..., Artifact]


def labels_of(*counts: int) -> np.ndarray:
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(0).permutation(labels)


def names(labels: np.ndarray) -> tuple[str, ...]:
    return tuple(f"c{label}" for label in range(labels.max() + 1))


def counts(labels: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.bincount(labels[index], minlength=labels.max() + 1)


def drawn(labels: np.ndarray, **settings: object) -> tuple[np.ndarray, np.ndarray]:
    return divide(labels, Split(**settings), names(labels))


def test_the_default_is_everything() -> None:
    train, validation = drawn(labels_of(5, 7))
    assert train.tolist() == list(range(12))
    assert validation.tolist() == []


def test_the_files(prepared: Make, divided: Make) -> None:
    digits = prepared(source="digits")
    split = divided(digits, per_class=2, validation_fraction=0.1)
    assert split.files == ["train.csv", "validation.csv"]
    content = split.file("train.csv").read_bytes()
    assert content.startswith(b"index,label\n")
    assert content.count(b"\n") == 21
    rows = np.loadtxt(split.file("validation.csv"), delimiter=",", skiprows=1, dtype=int)
    assert len(rows) == 120
    assert (np.diff(rows[:, 0]) > 0).all()


def test_an_empty_validation_set_has_a_header(prepared: Make, divided: Make) -> None:
    split = divided(prepared(source="digits"), per_class=2)
    assert split.file("validation.csv").read_text() == "index,label\n"


def test_fractions_draw_what_scikit_learn_draws() -> None:
    """Published few-shot runs used its StratifiedShuffleSplit with seed 0."""
    labels = labels_of(*[60] * 10)
    for fraction in (0.25, 0.5, 0.75):
        splitter = StratifiedShuffleSplit(n_splits=1, train_size=fraction, random_state=0)
        wanted = next(splitter.split(labels, labels))[0]
        assert drawn(labels, fraction=fraction)[0].tolist() == sorted(wanted)


@settings(max_examples=120, deadline=None)
@given(
    sizes=st.lists(st.integers(20, 60), min_size=2, max_size=6),
    validation=st.sampled_from([0.0, 0.1, 0.2, 0.5]),
    fraction=st.sampled_from([0.1, 0.25, 0.5, 0.75, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_shares_of_every_class(
    sizes: list[int], validation: float, fraction: float, seed: int
) -> None:
    labels = labels_of(*sizes)
    options = {"validation_fraction": validation, "seed": seed}
    train, held_out = drawn(labels, fraction=fraction, **options)
    for index in (train, held_out):
        assert (np.diff(index) > 0).all()
    assert not set(train.tolist()) & set(held_out.tolist())
    assert len(held_out) == round(validation * len(labels))
    assert len(train) == round(fraction * (len(labels) - len(held_out)))
    kept = np.array(sizes) - counts(labels, held_out)
    assert np.abs(counts(labels, held_out) - validation * np.array(sizes)).max() < 2
    assert np.abs(counts(labels, train) - fraction * kept).max() < 2
    again = drawn(labels, fraction=fraction, **options)
    assert all(map(np.array_equal, again, (train, held_out)))


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(12, 30), min_size=1, max_size=6),
    per_class=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
)
def test_numbers_of_every_class(sizes: list[int], per_class: int, seed: int) -> None:
    labels = labels_of(*sizes)
    train, _ = drawn(labels, per_class=per_class, seed=seed)
    assert (counts(labels, train) == per_class).all()
    more, _ = drawn(labels, per_class=per_class + 1, seed=seed)
    assert set(train.tolist()) < set(more.tolist())


@pytest.mark.parametrize("subset", [{"fraction": 0.3}, {"per_class": 4}, {"fraction": 0.9}])
def test_the_validation_set_does_not_depend_on_the_subset(subset: dict) -> None:
    labels = labels_of(30, 40, 50)
    whole = drawn(labels, validation_fraction=0.2, seed=3)
    some = drawn(labels, validation_fraction=0.2, seed=3, **subset)
    assert some[1].tolist() == whole[1].tolist()
    assert set(some[0].tolist()) < set(whole[0].tolist())


@pytest.mark.parametrize("options", [{"fraction": 0.5}, {"per_class": 9}])
def test_seeds_draw_different_images(options: dict) -> None:
    labels = labels_of(40, 40)
    drawings = {tuple(drawn(labels, seed=seed, **options)[0]) for seed in range(10)}
    assert len(drawings) == 10


def test_the_draw_of_this_release() -> None:
    """Guards the promise that a seed means the same images for ever."""
    labels = np.arange(24) % 2
    train, validation = drawn(labels, per_class=3, validation_fraction=0.25, seed=7)
    assert train.tolist() == [0, 2, 7, 12, 13, 19]
    assert validation.tolist() == [3, 5, 10, 11, 16, 18]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per_class": 6}, "class 'c1': 6 training images wanted, 5 available"),
        (
            {"per_class": 5, "validation_fraction": 0.2},
            "class 'c1': 5 training images wanted, 4 available",
        ),
        (
            {"fraction": 0.01},
            "class 'c1': a share of 0.01 wanted, which is no image of the 5 available",
        ),
        (
            {"validation_fraction": 0.01},
            "class 'c1': a share of 0.01 wanted, which is no image of the 5 available",
        ),
    ],
)
def test_too_few_images(options: dict, message: str) -> None:
    with pytest.raises(UserError) as caught:
        drawn(labels_of(60, 5), **options)
    assert str(caught.value) == message


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    validation=st.floats(0, 0.999),
    fraction=st.floats(0.001, 1),
)
def test_every_class_is_there_or_the_message_says_which_is_not(
    sizes: list[int], validation: float, fraction: float
) -> None:
    labels = labels_of(*sizes)
    try:
        train, held_out = drawn(labels, validation_fraction=validation, fraction=fraction)
    except UserError as error:
        message = str(error)
    else:
        assert counts(labels, train).min() > 0
        assert validation == 0 or counts(labels, held_out).min() > 0
        return
    assert message.startswith("class 'c")
