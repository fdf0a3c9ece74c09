"""The params file that is written for a folder of images."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from project import Project, photos

from distillery.core.errors import UserError
from distillery.experiment import reading
from distillery.planning import loading, starting


def mixed(folder: Path) -> Path:
    """Write images of several sizes and kinds, one of them transparent, without a test part."""
    photos(folder, train=12, test=0, size=(30, 40))
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(folder / "cat" / "icon.png")
    Image.new("L", (64, 48), 7).save(folder / "dog" / "grey.tif")
    (folder / "notes.txt").touch()
    return folder


def test_what_was_found_is_said(project: Project) -> None:
    found = starting.look_at(mixed(project.folder / "my pets"), project.data)
    assert [*found.lines()] == [
        f"{project.folder}/my pets: 20 training and 6 test images of 2 classes.",
        "  cat: 10 + 3",
        "  dog: 10 + 3",
        "  pixels: 20 x 20 to 64 x 48; kinds: 24 RGB, 1 RGBA, 1 L",
        "  2 folders are taken for the classes",
        "  no test part: 20 % of each class's images are drawn (test_seed 0)",
        "  1 of 26 images have transparency: they are laid over white",
        "  left out: 1 file, .txt (notes.txt)",
    ]


def test_the_file_is_a_plan_that_fits(project: Project) -> None:
    found = starting.look_at(mixed(project.folder / "my pets"), project.data)
    file = project.folder / "params" / "pets.yaml"
    starting.write(found, file)
    experiment = reading.load(file)
    assert experiment.name == "my-pets"
    assert experiment.data.path == f"{project.folder}/my pets"
    assert (experiment.data.image_size, experiment.data.test_fraction) == (32, 0.2)
    assert experiment.training.batch_size == 8
    planned = loading.load(file, project.data)
    assert "methods.crd.options.negatives: 10 in place of 16384" in " ".join(planned.notes)
    with pytest.raises(UserError, match=r"pets.yaml: exists"):
        starting.write(found, file)


def test_images_of_one_small_size_stay_as_they_are(project: Project) -> None:
    photos(project.raw / "pets", train=200, size=(12, 12))
    found = starting.look_at(Path("pets"), project.data)
    text = starting.params_text(found)
    assert 'path: "pets"' in text
    assert "batch_size: 64" in text
    assert not {"image_size", "background", "test_fraction"} & {*text.replace(":", " ").split()}


def test_what_is_not_there_is_refused(project: Project) -> None:
    with pytest.raises(UserError, match=f"pets: no such folder or archive, nor in {project.raw}"):
        starting.look_at(Path("pets"), project.data)
