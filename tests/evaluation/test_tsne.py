"""What is mapped, and the numbers beside the map."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from protocol_runs import drawn, measure
from pydantic import ValidationError
from sklearn.metrics import silhouette_score

from distillery.core.errors import UserError
from distillery.evaluation.context import PlanContext
from distillery.evaluation.tsne import TSNE, choose, classified_by, embed
from distillery.models.spec import describe

Options = TSNE.Options
NAMES = ("ant", "bee", "cat", "dog")
QUICK: dict[str, Any] = {"images": 15, "perplexity": 10, "neighbours": 5}


def test_classes_and_images_are_the_first_ones() -> None:
    labels = np.array([3, 1, 3, 0, 1, 3, 0, 3])
    options = Options(classes=2, images=2, perplexity=1, neighbours=1)
    assert choose(labels, NAMES, options).tolist() == [1, 3, 4, 6]


def test_classes_without_images_are_passed_over() -> None:
    labels = np.array([2, 2, 3, 3])
    options = Options(classes=2, images=5, perplexity=1, neighbours=1)
    assert choose(labels, NAMES, options).tolist() == [0, 1, 2, 3]


def test_classes_by_name() -> None:
    labels = np.array([3, 1, 3, 0, 1, 3, 0, 3])
    options = Options(classes=("dog", "ant"), images=2, perplexity=1, neighbours=1)
    assert choose(labels, NAMES, options).tolist() == [0, 2, 3, 6]


def test_a_data_set_of_fewer_classes_is_shown_as_a_whole() -> None:
    labels = np.arange(40) % 4
    options = Options(classes=10, perplexity=5, neighbours=5)
    assert len(choose(labels, NAMES, options)) == 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ("ant", "dag")}, "unknown class 'dag'; did you mean 'dog'"),
        ({"classes": ("ant", "cat")}, "no test image is of class 'cat'"),
        ({"perplexity": 8}, "perplexity.* 8, but there are 8 of 3$"),
        ({"neighbours": 9}, "neighbours.* 9, but there are 8 of 3$"),
    ],
)
def test_what_cannot_be_chosen(options: dict[str, Any], message: str) -> None:
    labels = np.array([3, 1, 3, 0, 1, 3, 0, 3])
    with pytest.raises(UserError, match=message):
        choose(labels, NAMES, Options(**{"perplexity": 1, "neighbours": 1, **options}))


def test_one_class_is_none() -> None:
    with pytest.raises(UserError, match="two classes"):
        choose(np.zeros(50, dtype=np.int64), NAMES, Options(perplexity=5))
    with pytest.raises(ValidationError):
        Options(classes=1)


def test_the_map_is_the_same_each_time() -> None:
    points, options = drawn(60, 3).embedding, Options(perplexity=10, start="random")
    first, again = (embed(points, options) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, embed(points, options.model_copy(update={"seed": 1})))


def test_the_map_of_one_point() -> None:
    assert not embed(np.ones((40, 3)), Options()).any()


def test_clouds_are_apart_on_the_map_and_noise_is_not(tmp_path: Path) -> None:
    clouds, noise = drawn(75, spread=5), drawn(75, spread=0)
    apart, details = measure(tmp_path, "tsne", clouds, clouds, **QUICK)
    mixed, _ = measure(tmp_path / "noise", "tsne", noise, noise, **QUICK)
    assert apart["silhouette"] > 0.5 > 0.1 > mixed["silhouette"]
    assert apart["silhouette_map"] > 0.5 > 0.1 > mixed["silhouette_map"]
    assert apart["knn_accuracy"] == apart["knn_accuracy_map"] == 100
    assert mixed["knn_accuracy"] < 50 > mixed["knn_accuracy_map"]
    assert details is not None
    assert apart["silhouette"] == pytest.approx(silhouette_score(clouds.embedding, clouds.labels))
    assert apart["silhouette_map"] == pytest.approx(
        silhouette_score(details[["x", "y"]], details["label"]), abs=1e-5
    )


def test_details_name_the_images(tmp_path: Path) -> None:
    told = drawn(200)
    _, details = measure(tmp_path, "tsne", told, drawn(200, seed=1), classes=3, **QUICK)
    assert details is not None
    assert list(details) == ["network", "image", "label", "class", "x", "y"]
    assert details["network"].unique().tolist() == ["own"]
    assert details["label"].tolist() == told.labels[details["image"]].tolist()
    assert details["label"].value_counts().to_dict() == {0: 15, 1: 15, 2: 15}
    assert set(zip(details["label"], details["class"], strict=True)) == {
        (number, f"class {number}") for number in range(3)
    }


def test_a_joint_map_shows_the_same_images_of_both_networks(tmp_path: Path) -> None:
    teacher = drawn(60, 3, spread=6)
    own = teacher._replace(embedding=teacher.embedding + np.float32(0.01))
    metrics, details = measure(tmp_path, "tsne", own, teacher, joint=True, **QUICK)
    assert details is not None
    students, taught = (details[details["network"] == name] for name in ("own", "teacher"))
    assert students["image"].tolist() == taught["image"].tolist()
    assert metrics["teacher_knn_accuracy"] == 100
    # Two features of an image are the nearest to each other, hence neighbours on the map.
    gaps = np.hypot(*(students[["x", "y"]].to_numpy() - taught[["x", "y"]].to_numpy()).T)
    assert np.median(gaps) < 0.1 * np.ptp(details["x"])


def test_a_student_elsewhere_is_not_classified_by_the_teacher() -> None:
    told = drawn(90, 3, spread=6)
    swapped = drawn(90, 3, spread=6).embedding[(np.arange(90) + 1) % 90]
    assert classified_by(told.embedding, told.embedding, told.labels, 5) == 1
    assert classified_by(swapped, told.embedding, told.labels, 5) == 0


def test_the_joint_map_of_a_teacher_is_its_own(tmp_path: Path) -> None:
    teacher = drawn(60, 3)
    metrics, details = measure(tmp_path, "tsne", teacher, teacher, joint=True, **QUICK)
    assert details is not None
    assert len(details) == 45
    assert "teacher_knn_accuracy" not in metrics


def test_embeddings_of_other_dimensions_have_no_joint_map_but_logits_do(tmp_path: Path) -> None:
    own, teacher = drawn(60, 3, dim=8), drawn(60, 3, dim=16)
    specs = [describe(arch, 10, 1, 8) for arch in ("resnet8", "resnet8x4")]
    with pytest.raises(UserError, match="has 64 and its teacher 256"):
        TSNE(Options(joint=True)).check(PlanContext(*specs, None, None, None))
    TSNE(Options(joint=True)).check(PlanContext(specs[0], specs[0], None, None, None))
    TSNE(Options(joint=True, space="logits")).check(PlanContext(*specs, None, None, None))
    metrics, _ = measure(tmp_path, "tsne", own, teacher, joint=True, space="logits", **QUICK)
    assert "teacher_knn_accuracy" in metrics


def test_normalised_features_do_not_depend_on_their_length(tmp_path: Path) -> None:
    told = drawn(60, 3)
    length = np.random.default_rng(0).uniform(0.1, 10, (60, 1)).astype(np.float32)
    longer = told._replace(embedding=length * told.embedding)
    options = {"normalise": True, **QUICK}
    first, _ = measure(tmp_path / "first", "tsne", told, told, **options)
    second, _ = measure(tmp_path / "second", "tsne", longer, longer, **options)
    plain, _ = measure(tmp_path / "plain", "tsne", longer, longer, **QUICK)
    assert second["silhouette"] == pytest.approx(first["silhouette"], abs=1e-5)
    assert plain["silhouette"] != pytest.approx(first["silhouette"], abs=1e-2)


def test_a_collapsed_network_has_a_map_and_numbers(tmp_path: Path) -> None:
    told = drawn(60, 3)
    same = told._replace(embedding=np.ones_like(told.embedding))
    metrics, _ = measure(tmp_path, "tsne", same, same, **QUICK)
    assert (metrics["silhouette"], metrics["silhouette_map"]) == (0, 0)
