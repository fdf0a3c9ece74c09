"""Where in an image a network is active, beside its teacher.

The spatial attention map of Zagoruyko and Komodakis 2017 (arXiv:1612.03928): the mean over the
channels of the squares of the last stage's map, enlarged bilinearly to the size of the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pydantic import Field

from distillery.core.randomness import generator
from distillery.core.settings import FrozenModel
from distillery.data.info import DataSetInfo
from distillery.evaluation.base import METRICS, Protocol, write_details

if TYPE_CHECKING:
    from torch import Tensor

    from distillery.data.prepared import ImageSet
    from distillery.runs.artifact import Artifact
    from distillery.runs.produce import Workspace

_BATCH = 250


class AttentionMaps(Protocol):
    """Spatial maps of the last stage, and their similarity to the teacher's."""

    title = "Attention maps"
    uses_device = True

    class Options(FrozenModel):
        """Options of the protocol."""

        images: int = Field(default=8, ge=1, le=64)
        """How many images are shown, of one class each; fewer where there are fewer classes."""
        sample: int = Field(default=2000, ge=1)
        """How many test images the similarity to the teacher is the mean of; all where there are no
        more."""
        seed: int = Field(default=0, ge=0)
        """Seed of the choice of classes and images, which is the same for all networks."""

    options: Options

    def run(self, work: Workspace) -> None:
        """Write ``metrics.json`` and ``details.parquet``.

        Metrics: ``map_cosine``, mean cosine similarity (0..1) of the network's and the teacher's
        map of an image; an image without any activity in one of them counts as 0.

        Details, a row an image: ``position`` in the test set, ``label``, ``class``, ``predicted``
        and ``predicted_class``; ``height``, ``width``, ``channels`` and ``image``, its pixels as
        bytes row by row; ``map``, the network's, height * width numbers that are not negative.
        """
        import torch

        from distillery.data.prepared import load

        options = self.options
        prepared = work.inputs["prepared"]
        info, test = DataSetInfo.load(prepared), load(prepared, "test")
        sample = choose_sample(len(test), options)
        own, _ = observe(work, work.inputs["network"], test, sample)
        teacher, _ = observe(work, work.inputs["teacher"], test, sample)
        work.write_json(METRICS, {"map_cosine": mean_cosine(own, teacher)})
        chosen = choose_images(test.labels.numpy(), options)
        maps, predicted = observe(work, work.inputs["network"], test, chosen)
        labels = test.labels.numpy()[chosen]
        (images,) = test.batches([torch.from_numpy(chosen)])
        height, width, channels = info.shape
        table = pa.table(
            {
                "position": chosen,
                "label": labels,
                "class": [info.classes[label] for label in labels],
                "predicted": predicted,
                "predicted_class": [info.classes[label] for label in predicted],
                **{
                    name: np.full(len(chosen), value)
                    for name, value in (
                        ("height", height),
                        ("width", width),
                        ("channels", channels),
                    )
                },
                "image": [pixels.tobytes() for pixels in images.numpy()],
                "map": list(maps.reshape(len(chosen), -1)),
            }
        )
        write_details(work, table)


def choose_sample(count: int, options: AttentionMaps.Options) -> np.ndarray:
    """Return the rows (n,), increasing, of the images that the similarity is measured on."""
    if count <= options.sample:
        return np.arange(count)
    random = generator(options.seed, "attention-maps/sample")
    return np.sort(random.choice(count, options.sample, replace=False))


def choose_images(labels: np.ndarray, options: AttentionMaps.Options) -> np.ndarray:
    """Return the rows (n,) of the images to show: one of each of some classes, ordered by class.

    Args:
        labels: (N,) integers, of all test images.
        options: those of the protocol.
    """
    random = generator(options.seed, "attention-maps/images")
    classes = random.permutation(np.unique(labels))[: options.images]
    return np.array([random.choice(np.flatnonzero(labels == label)) for label in np.sort(classes)])


def observe(
    work: Workspace, trained: Artifact, test: ImageSet, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a network's maps (n, H, W) float32 and predictions (n,) for the rows (n,)."""
    import torch

    from distillery.core.devices import device_for_inference
    from distillery.models.inference import infer
    from distillery.models.settings import architecture_of
    from distillery.models.weights import load_network

    info, architecture = DataSetInfo.load(work.inputs["prepared"]), architecture_of(trained)
    device = device_for_inference(work.record)
    network = load_network(trained, info).to(device).to(memory_format=torch.channels_last)
    shown, seen = test.of_channels(architecture.channels).to(device), architecture.seen(info)
    batches = torch.split(torch.from_numpy(rows), _BATCH)
    maps, predicted = [], []
    for outputs in infer(network, shown, seen, batches, features=True):
        maps.append(spatial_attention(outputs.features[-1], info.shape[0], info.shape[1]).cpu())
        predicted.append(outputs.logits.argmax(dim=1).cpu())
    return torch.cat(maps).numpy(), torch.cat(predicted).numpy()


def spatial_attention(feature: Tensor, height: int, width: int) -> Tensor:
    """Return the mean of squares over the channels of maps (B, c, h, w), as (B, height, width)."""
    import torch.nn.functional as F

    activity = feature.float().square().mean(dim=1, keepdim=True)
    return F.interpolate(activity, (height, width), mode="bilinear", align_corners=False)[:, 0]


def mean_cosine(own: np.ndarray, other: np.ndarray) -> float:
    """Return the mean cosine similarity of maps (n, H, W), image by image."""
    first, second = (maps.reshape(len(maps), -1).astype(np.float64) for maps in (own, other))
    products = np.einsum("np,np->n", first, second)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(np.divide(products, lengths, where=lengths > 0, out=np.zeros(len(own))).mean())
