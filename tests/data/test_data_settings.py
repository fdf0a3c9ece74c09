import subprocess
import sys

import pytest
from pydantic import ValidationError

from distillery.core.errors import UserError
from distillery.data import registry
from distillery.data.settings import Augmentation, Source, Split
from distillery.runs.fingerprint import closure

SOURCES = [
    "cifar10",
    "cifar100",
    "cinic10",
    "cinic10-train-valid",
    "digits",
    "image-folder",
    "imagenet",
    "nyu-depth",
    "shapes",
    "stl10",
    "svhn",
    "tiny-imagenet",
]


def test_sources_are_found_by_file() -> None:
    assert registry.names() == SOURCES
    assert registry.module_of("cifar100") == "distillery.data.sources.cifar"
    assert registry.module_of("image-folder") == "distillery.data.sources.image_folder"
    with pytest.raises(UserError, match="unknown data source 'cifar'; did you mean 'cifar10"):
        registry.module_of("cifar")


def test_sources_are_listed_without_being_imported() -> None:
    code = (
        "import sys; from distillery.data import registry; registry.facts('svhn');"
        "package = 'distillery.data.sources.';"
        "found = {name for name in sys.modules if name.startswith(package)};"
        "assert found == {package + 'svhn'}, found"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_prepared_does_not_depend_on_how_runs_are_kept() -> None:
    for module in (
        "distillery.data.prepare",
        "distillery.data.split",
        registry.module_of("digits"),
    ):
        assert not any(name.startswith("distillery.runs") for name in closure([module]))


def test_the_code_of_a_stage_does_not_depend_on_sources_it_does_not_use() -> None:
    source_modules = {registry.module_of(name) for name in SOURCES}
    for stage in ("prepare", "split", "prepared"):
        assert not closure([f"distillery.data.{stage}"]) & source_modules
    used = closure(["distillery.data.prepare", registry.module_of("digits")])
    assert used & source_modules == {registry.module_of("digits")}


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        ({"source": "digits"}, (8, 1)),
        ({"source": "digits", "image_size": 32, "channels": 3}, (32, 3)),
        ({"source": "digits", "colour": "lab"}, (8, 3)),
        ({"source": "cifar100"}, (32, 3)),
        ({"source": "svhn"}, (32, 3)),
        ({"source": "stl10", "image_size": 32}, (32, 3)),
        ({"source": "imagenet"}, (224, 3)),
        ({"source": "imagenet", "image_size": 64}, (64, 3)),
        ({"source": "shapes"}, (8, 1)),
        ({"source": "nyu-depth", "image_size": 128}, (128, 4)),
        ({"source": "tiny-imagenet", "image_size": 32}, None),
        ({"source": "image-folder", "path": "x", "image_size": 64, "channels": 1}, (64, 1)),
    ],
)
def test_shape_before_the_data_are_read(settings: dict, shape: tuple[int, int] | None) -> None:
    assert Source(**settings).known_shape == shape


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "cifar"}, "unknown data source 'cifar'; did you mean 'cifar10"),
        ({"source": "image-folder"}, "data source 'image-folder' needs a path"),
        ({"source": "digits", "path": "x"}, "data source 'digits' is built in"),
        ({"source": "digits", "image_size": 2}, "greater than or equal to 4"),
        ({"source": "digits", "channels": 2}, "1 or 3"),
        ({"source": "nyu-depth"}, "images of 'nyu-depth' are no squares: set image_size"),
        (
            {"source": "nyu-depth", "image_size": 64, "channels": 3},
            "images of 'nyu-depth' have 4 channels, .*: leave out channels and colour",
        ),
        (
            {"source": "nyu-depth", "image_size": 64, "channels": 1},
            "images of 'nyu-depth' have 4 channels, .*: leave out channels and colour",
        ),
        (
            {"source": "nyu-depth", "image_size": 64, "colour": "lab"},
            "images of 'nyu-depth' have 4 channels, .*: leave out channels and colour",
        ),
        ({"source": "cifar10", "sha256": "abc"}, "should match pattern"),
        ({"source": "cifar10", "size": 3}, "unknown key 'size'"),
    ],
)
def test_wrong_source_settings(settings: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Source(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"per_class": 5, "fraction": 0.05}, "a fraction of 0.05 of per_class 5 leaves no image"),
        ({"per_class": 0}, "greater than or equal to 1"),
        ({"fraction": 0.0}, "greater than 0"),
        ({"fraction": 1.1}, "less than or equal to 1"),
        ({"validation_fraction": 1.0}, "less than 1"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"seed": 2**32}, "less than"),
    ],
)
def test_wrong_split_settings(settings: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Split(**settings)


@pytest.mark.parametrize(
    ("settings", "views"),
    [({}, 162), ({"flip": False}, 81), ({"pad": 0}, 2), ({"pad": 0, "flip": False}, 1)],
)
def test_number_of_views(settings: dict, views: int) -> None:
    assert Augmentation(**settings).views == views


@pytest.mark.parametrize(
    ("source", "flips"),
    [
        ("digits", False),
        ("svhn", False),
        ("shapes", False),
        ("cifar10", True),
        ("cinic10", True),
        ("imagenet", True),
        ("nyu-depth", True),
        ("image-folder", True),
    ],
)
def test_whether_to_flip_depends_on_the_data_set_unless_it_is_said(
    source: str, flips: bool
) -> None:
    resolved = Augmentation(pad=4).resolved(source)
    assert resolved.flip is flips
    assert resolved.views == (162 if flips else 81)
    for said in (False, True):
        assert Augmentation(flip=said).resolved(source).flip is said
    assert Augmentation(**resolved.model_dump(mode="json")) == resolved


def test_random_boxes_have_more_views_than_anyone_asks_for() -> None:
    augmentation = Augmentation(kind="random-resized-crop")
    assert augmentation.views > 10**12
    assert augmentation.scale == (0.08, 1.0)
    assert Augmentation(**augmentation.model_dump(mode="json")) == augmentation


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 32}, "size has no meaning for the kind crop"),
        ({"scale": [0.5, 1.0]}, "scale has no meaning for the kind crop"),
        ({"kind": "random-resized-crop", "pad": 2}, "pad has no meaning for the kind random-re"),
        ({"kind": "random-resized-crop", "scale": [0.5, 0.2]}, r"scale: found \(0.5, 0.2\); allow"),
        ({"kind": "random-resized-crop", "scale": [0.0, 0.2]}, r"scale: found \(0.0, 0.2\); allow"),
        ({"kind": "random-resized-crop", "ratio": [2, 1]}, r"ratio: found \(2.0, 1.0\); allowed"),
        ({"kind": "random-resized-crop", "size": 2}, "greater than or equal to 4"),
        ({"kind": "boxes"}, "'crop' or 'random-resized-crop'"),
    ],
)
def test_wrong_augmentation_settings(settings: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Augmentation(**settings)


def test_settings_need_no_torch() -> None:
    code = (
        "import sys; from distillery.data.settings import Source; Source(source='digits');"
        "assert not {'torch', 'torchvision', 'sklearn', 'pandas', 'pyarrow'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({}, None),
        ({"fraction": 0.01}, None),
        (
            {"fraction": 0.009},
            "a fraction of 0.009 leaves a class empty: the smallest class has 100",
        ),
        ({"fraction": 0.01, "validation_fraction": 0.5}, "empty.*of which validation takes.* 0.5"),
        ({"per_class": 100}, None),
        ({"per_class": 101}, "101 images of each class wanted, but the smallest class has 100"),
        ({"per_class": 200, "fraction": 0.5}, None),
        ({"per_class": 80, "validation_fraction": 0.2}, None),
        ({"per_class": 82, "validation_fraction": 0.2}, "82 images .*has 100 .*a share of 0.2"),
    ],
)
def test_a_split_is_compared_with_the_smallest_class(split: dict, message: str | None) -> None:
    settings = Split(**split)
    settings.check(None)
    if message is None:
        settings.check(100)
    else:
        with pytest.raises(UserError, match=message) as refused:
            settings.check(100)
        assert "\n" not in str(refused.value)
