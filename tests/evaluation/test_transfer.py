"""Probes against their optimality conditions, scikit-learn's neighbours and planted problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_data import made_up_info
from project import Project
from pydantic import ValidationError
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn

from distillery.core.errors import UserError
from distillery.data.augmentation import normalise
from distillery.data.prepared import ImageSet
from distillery.data.settings import Augmentation
from distillery.embeddings.extract import Features
from distillery.embeddings.views import ViewSchedule
from distillery.evaluation import transfer
from distillery.evaluation.context import PlanContext
from distillery.evaluation.transfer import Transfer, descended, fitted, voted
from distillery.models.base import Outputs
from distillery.models.spec import describe
from distillery.training.loader import ViewLoader

Options = Transfer.Options
SEEDS = st.integers(0, 2**32 - 1)


def clouds(images: int, classes: int = 4, dim: int = 6, spread: float = 1.0, seed: int = 0) -> Any:
    """Return features in one cloud a class; other seeds draw other points of the same clouds."""
    centres = 3 * np.eye(classes, dim)
    labels = np.arange(images) % classes
    noise = np.random.default_rng(seed).standard_normal((images, dim))
    return Features(labels, (centres[labels] + spread * noise).astype(np.float32))


@settings(max_examples=10)
@given(SEEDS, st.sampled_from([0.1, 1.0, 30.0]), st.booleans())
def test_the_fit_is_the_minimum_of_the_stated_objective(
    seed: int, l2: float, standardise: bool
) -> None:
    """There the gradient of cross-entropies and penalty vanishes."""
    train = clouds(80, spread=2, seed=seed)
    probe = fitted(train, Options(l2=l2, standardise=standardise))
    x = train.embedding.astype(np.float64)
    if standardise:
        x = (x - x.mean(axis=0)) / x.std(axis=0)
    weight, bias = probe[-1].coef_, probe[-1].intercept_
    error = softmax(x @ weight.T + bias, axis=1) - np.eye(4)[train.labels]
    # The solver stops at a gradient of 1e-4 of the mean over the images.
    assert np.abs(error.T @ x + l2 * weight).max() < 1e-4 * 80 * 2
    assert np.abs(error.sum(axis=0)).max() < 1e-4 * 80 * 2


def test_the_fit_is_scikit_learns() -> None:
    train, test = clouds(200, spread=2), clouds(100, spread=2, seed=1)
    probe = fitted(train, Options(standardise=False, l2=0.5))
    reference = LogisticRegression(C=2, max_iter=5000, tol=1e-8)
    reference.fit(train.embedding.astype(float), train.labels)
    assert probe[-1].coef_ == pytest.approx(reference.coef_, abs=1e-2)
    agree = probe.predict(test.embedding) == reference.predict(test.embedding)
    assert agree.mean() >= 0.99


def test_standardising_makes_the_probe_independent_of_scales() -> None:
    train = clouds(120, spread=2)
    scales = np.array([0.1, 1, 5, 1, 3, 0.5], dtype=np.float32)
    scaled = Features(train.labels, train.embedding * scales + 2)

    def decisions(features: Features, **options: Any) -> np.ndarray:
        found: np.ndarray = fitted(features, Options(**options)).decision_function(
            features.embedding
        )
        return found

    expected = decisions(train)
    assert decisions(scaled) == pytest.approx(expected, abs=1e-2)
    raw = decisions(scaled, standardise=False, l2=10.0)
    assert np.abs(raw - decisions(train, standardise=False, l2=10.0)).max() > 0.1


def test_features_without_variation_do_not_matter() -> None:
    train = clouds(60)
    constant = np.column_stack([train.embedding, np.full(60, 5.0, dtype=np.float32)])
    probe = fitted(Features(train.labels, constant), Options())
    assert np.isfinite(probe[-1].coef_).all()
    assert probe[-1].coef_[:, -1] == pytest.approx(0, abs=1e-12)


@settings(max_examples=20)
@given(SEEDS, st.integers(1, 15))
def test_neighbours_by_cosine_are_scikit_learns(seed: int, neighbours: int) -> None:
    train, test = clouds(90, spread=3, seed=seed), clouds(30, spread=3, seed=seed + 1)
    reference = KNeighborsClassifier(neighbours, metric="cosine", algorithm="brute")
    reference.fit(train.embedding.astype(float), train.labels)
    expected = reference.predict(test.embedding.astype(float))
    assert np.array_equal(voted(train, test.embedding, neighbours), expected)
    # Lengths do not matter.
    lengths = np.random.default_rng(seed).uniform(0.5, 2, (30, 1)).astype(np.float32)
    assert np.array_equal(voted(train, test.embedding * lengths, neighbours), expected)


def test_a_separable_problem_is_solved_and_a_meaningless_one_is_not() -> None:
    train, test = clouds(200, spread=0.2), clouds(100, spread=0.2, seed=1)
    assert (fitted(train, Options()).predict(test.embedding) == test.labels).all()
    assert (voted(train, test.embedding, 10) == test.labels).all()
    shuffled = Features(np.random.default_rng(0).permutation(train.labels), train.embedding)
    assert (fitted(shuffled, Options()).predict(test.embedding) == test.labels).mean() < 0.6


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"epochs": 10}, "epochs has no meaning for the probe cached"),
        ({"lr": 0.05}, "lr has no meaning"),
        ({"probe": "augmented", "l2": 2.0}, "l2 has no meaning for the probe augmented"),
        ({"probe": "augmented", "standardise": False}, "standardise has no meaning"),
        ({"neighbours": 0}, "greater than or equal"),
        ({"normalisation": "mine"}, "'target', 'network' or 'half'"),
    ],
)
def test_options_of_the_other_probe_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Options(**options)


def test_grey_and_colour_are_told_apart_when_the_plan_is_made(project: Project) -> None:
    spec = describe("resnet8", num_classes=10, in_channels=1, image_size=8)
    protocol = Transfer(Options(data="other"))
    protocol.check(PlanContext(spec, spec, None, (8, 1), (96, 1)))
    protocol.check(PlanContext(spec, spec, None, None, (96, 3)))
    protocol.check(PlanContext(spec, spec, None, (8, 1), None))
    with pytest.raises(
        UserError, match=r"options\.data: .*'other' have 3 channel.*have 1;.*`channels`"
    ):
        protocol.check(PlanContext(spec, spec, None, (8, 1), (96, 3)))
    changes = {
        "datasets": {"other": {"source": "stl10"}},
        "protocols": {"to-stl10": {"protocol": "transfer", "options": {"data": "other"}}},
    }
    with pytest.raises(UserError, match=r"protocols\.to-stl10") as refused:
        project.plan(changes)
    assert "\n" not in str(refused.value)
    changes["datasets"] = {"other": {"source": "stl10", "channels": 1}}
    planned = project.plan(changes)
    stages = [run.stage for run in planned.runs.values()]
    assert stages.count("extract") == 2


def test_published_settings_are_the_defaults_of_the_augmented_probe() -> None:
    options = Options(probe="augmented")
    assert (options.epochs, options.lr, options.batch_size) == (100, 0.1, 64)
    assert options.milestones == (30, 60, 90)


class Brightness(nn.Module):
    """A network whose embedding is the mean of an image's upper and lower half."""

    embedding_dim = 2

    def forward(self, images: Tensor) -> Outputs:
        halves = images.mean(dim=3).reshape(len(images), 2, -1).mean(dim=2)
        return Outputs(halves, halves)


def loader(images: int = 96) -> ViewLoader:
    """Return a loader of bright and of dark images, which random boxes do not change."""
    labels = torch.arange(images) % 2
    pixels = (40 + 160 * labels)[:, None, None, None].expand(images, 12, 12, 1).byte()
    info = made_up_info(classes=("dark", "bright"), shape=(6, 6, 1), mean=(0.5,), std=(0.25,))
    boxes = Augmentation(kind="random-resized-crop", size=6)
    schedule = ViewSchedule(boxes.views, 8, 0)
    return ViewLoader(
        ImageSet(pixels.contiguous(), labels, torch.arange(images)),
        info,
        boxes,
        schedule,
        batch_size=16,
        seed=0,
    )


def descend(scratch: Path, **options: Any) -> nn.Linear:
    scratch.mkdir(exist_ok=True)
    chosen = Options(probe="augmented", batch_size=16, **options)
    return descended(Brightness(), loader(), 2, chosen, scratch)  # type: ignore[arg-type]


def test_the_augmented_probe_is_nesterov_descent_from_zero(tmp_path: Path) -> None:
    """Two epochs by hand; the learning rate falls after the first."""
    layer = descend(tmp_path, epochs=2, milestones=(1,))
    weight, velocity = np.zeros((2, 3)), np.zeros((2, 3))
    for epoch in range(2):
        for item in loader().epoch(epoch):
            assert item.images.shape[2:] == (6, 6)
            x = Brightness()(item.images).embedding.double().numpy()
            x = np.column_stack([x, np.ones(len(x))])
            error = softmax(x @ weight.T, axis=1) - np.eye(2)[item.batch.labels.numpy()]
            gradient = error.T @ x / len(x)
            velocity = 0.9 * velocity + gradient
            weight -= 0.1 * 0.1**epoch * (gradient + 0.9 * velocity)
    assert layer.weight.detach().numpy() == pytest.approx(weight[:, :2], abs=1e-5)
    assert layer.bias.detach().numpy() == pytest.approx(weight[:, 2], abs=1e-5)
    pixels = torch.tensor([40, 200]).view(2, 1, 1, 1).expand(2, 6, 6, 1).byte()
    shown = normalise(pixels.contiguous(), (0.5,), (0.25,))
    assert layer(Brightness()(shown).embedding).argmax(dim=1).tolist() == [0, 1]


def test_an_interrupted_augmented_probe_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = descend(tmp_path / "whole", epochs=4, milestones=(3,))
    descend(tmp_path / "parts", epochs=2, milestones=(3,))
    resumed = descend(tmp_path / "parts", epochs=4, milestones=(3,))
    assert torch.equal(whole.weight, resumed.weight)
    assert not torch.equal(whole.weight, descend(tmp_path / "half", epochs=2).weight)


def test_a_diverging_probe_says_what_to_lower(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"options\.lr must be below 1e\+38"):
        descend(tmp_path, epochs=1, lr=1e38)


def planned_metrics(project: Project, entries: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Run entries of the protocol on the teacher of the tiny experiment."""
    planned = project.plan(
        {
            "training": {"epochs": 1},
            "datasets": {"large": {"source": "digits", "image_size": 12}},
            "protocols": {
                name: {"protocol": "transfer", "options": options}
                for name, options in entries.items()
            },
        },
        name="transfer",
    )
    (row,) = (row for row in planned.rows if row.table == "teachers")
    return {
        name: project.make(planned, planned.runs[location]).json("metrics.json")
        for name, location in row.evaluations.items()
    }


def test_the_protocol_measures_both_probes_of_a_frozen_network(shared_project: Project) -> None:
    found = planned_metrics(
        shared_project,
        {
            "own": {},
            "large": {"data": "large", "neighbours": 3},
            "boxes": {"data": "large", "neighbours": 3, "probe": "augmented", "epochs": 2},
        },
    )
    assert all(set(metrics) == {"probe_top1", "knn_top1"} for metrics in found.values())
    # Ten classes: chance is 10 %.
    assert found["own"]["probe_top1"] > 50
    assert found["own"]["knn_top1"] > 40
    assert found["large"]["knn_top1"] == found["boxes"]["knn_top1"]
    assert 20 < found["boxes"]["probe_top1"] < found["large"]["probe_top1"]


def test_more_neighbours_than_images_are_refused(
    shared_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = clouds(5)
    monkeypatch.setattr(transfer, "read", lambda *_: few)
    with pytest.raises(UserError, match=r"options\.neighbours must be at most .* 5, not 9"):
        planned_metrics(shared_project, {"few": {"data": "large", "neighbours": 9}})
