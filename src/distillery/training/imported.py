"""The stage ``import-teacher``: a published checkpoint becomes a teacher run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distillery.core.devices import device_for_inference
from distillery.core.errors import UserError
from distillery.data.prepared import DataSetInfo, load
from distillery.models import predictions
from distillery.models.inference import predict
from distillery.models.settings import Architecture
from distillery.models.weights import WEIGHTS, new_network, save_network
from distillery.training import foreign
from distillery.training.files import located

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace


class Settings(Architecture):
    """Settings of the stage."""

    file: str
    """Name of the checkpoint, looked up among the raw files."""
    sha256: str
    """Its checksum."""
    at_chance: bool = False
    """Whether a network that answers no better than chance is taken, too."""


def run(work: Workspace) -> None:
    """Check and convert the checkpoint, and measure its accuracy on the test set.

    Raises:
        UserError: the file is not there, not the one that the params name, or useless.
    """
    settings, prepared = Settings.model_validate(work.run.settings), work.inputs["prepared"]
    path = located(work, settings.file, settings.sha256)
    whole = DataSetInfo.load(prepared)
    info = settings.seen(whole)
    network = new_network(settings, whole)
    found = foreign.read(path)
    foreign.compare_classes(found.classes, info.classes, path)
    foreign.load_into(network, found, path)
    device = device_for_inference(work.record)
    images = load(prepared, "test").of_channels(settings.channels).to(device)
    told = predict(network.eval().to(device), images, info, f"{path.name} as {settings.arch}")
    accuracy, chance = told.top1, told.chance
    if accuracy <= chance and not settings.at_chance:
        raise UserError(
            f"{path.name}: test top-1 {accuracy:.2f} % is no better than chance ({chance:.2f} %): "
            "are the classes in another order, or the images normalised otherwise? "
            "`at_chance: true` beside the checkpoint takes it all the same"
        )
    save_network(network, work.out / WEIGHTS, info.classes)
    predictions.write(work.out, told)
    work.record["chance_top1"] = chance
    work.record["origin"] = {"file": path.name, "sha256": settings.sha256}
    work.write_json("metrics.json", {"test_top1": accuracy})
