from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from distillery.data.prepared import DataSetInfo, load
from distillery.runs.artifact import Artifact

Make = Callable[..., Artifact]


def arrays(artifact: Artifact, part: str) -> tuple[np.ndarray, np.ndarray]:
    found = load(artifact, part)
    return found.images.numpy().reshape(len(found), -1) / 255, found.labels.numpy()


def test_what_is_drawn(prepared: Make) -> None:
    info = DataSetInfo.load(prepared(source="shapes"))
    assert info.shape == (8, 8, 1)
    assert info.per_class == {"train": (120,) * 10, "test": (60,) * 10}
    assert len(set(info.classes)) == 10
    assert info.shared == 0


def test_the_same_images_every_time(prepared: Make) -> None:
    one, other = prepared(source="shapes"), prepared(source="shapes", channels=1)
    assert one.path != other.path
    assert one.file("train.parquet").read_bytes() == other.file("train.parquet").read_bytes()


def test_shapes_can_be_learned_but_not_by_a_line(prepared: Make) -> None:
    artifact = prepared(source="shapes")
    train, test = arrays(artifact, "train"), arrays(artifact, "test")
    linear = LogisticRegression(C=0.5, max_iter=200).fit(*train).score(*test)
    curved = SVC(C=10).fit(*train).score(*test)
    assert 0.4 < linear < 0.8
    assert curved > linear + 0.1


@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_and_colour(prepared: Make, channels: int) -> None:
    artifact = prepared(source="shapes", image_size=32, channels=channels)
    assert DataSetInfo.load(artifact).shape == (32, 32, channels)
    images = load(artifact, "test").images.float()
    if channels == 3:
        assert (images[..., 0] - images[..., 1]).abs().mean() > 10


def test_the_same_shapes_at_another_size(prepared: Make) -> None:
    small, large = (
        load(prepared(source="shapes", image_size=side), "test").images.float() for side in (8, 32)
    )
    reduced = large.view(600, 8, 4, 8, 4).mean((2, 4))
    pairs = np.corrcoef(small.view(600, 64).numpy(), reduced.view(600, 64).numpy())
    own = np.diag(pairs[:600, 600:])
    assert np.median(own) > 0.7
    assert np.median(own) > np.median(np.abs(pairs[:600, 600:])) + 0.4


def test_chrominance_alone_shows_the_shape(prepared: Make) -> None:
    artifact = prepared(source="shapes", channels=3, colour="lab")
    parts = [load(artifact, part).of_channels([1, 2]) for part in ("train", "test")]
    (train, test) = ((each.images.flatten(1).numpy(), each.labels.numpy()) for each in parts)
    assert make_pipeline(StandardScaler(), SVC(C=10)).fit(*train).score(*test) > 0.6
