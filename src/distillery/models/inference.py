"""Running a finished network over a set of images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from distillery.core.errors import Diverged
from distillery.data.augmentation import normalise
from distillery.data.prepared import DataSetInfo, ImageSet
from distillery.models.base import Classifier, Outputs
from distillery.models.finite import first_improper_layer, first_improper_weight
from distillery.models.predictions import Predictions

# Pixels of a batch. On CPUs larger ones take up to twice as long: what a layer puts out leaves the
# caches, and is so large that its memory goes back to the system each time.
_PIXELS = {"cpu": 2**17}
_PIXELS_ELSEWHERE = 2**24
_FEWEST, _MOST = 8, 1000

Prepare = Callable[[Tensor, Tensor], Tensor]


def batch_size(images: ImageSet, side: int | None = None) -> int:
    """Return how many images to show a network at a time.

    It depends on their size and the kind of their device alone, as the last digits of outputs do.

    Args:
        images: on the device of the network.
        side: height and width that they are brought to first; None: none.
    """
    height, width = (side, side) if side else images.images.shape[1:3]
    return images_at_a_time(height, width, images.images.device.type)


def images_at_a_time(height: int, width: int, device: str) -> int:
    """Return how many images of a size to show a network at a time on a kind of device."""
    pixels = _PIXELS.get(device, _PIXELS_ELSEWHERE)
    return min(max(pixels // (height * width), _FEWEST), _MOST)


def in_batches(count: int, size: int) -> tuple[Tensor, ...]:
    """Return the rows 0 to ``count - 1`` in batches of ``size``, each (B,) int64."""
    return torch.split(torch.arange(count), size)


def normalised(
    images: ImageSet,
    info: DataSetInfo,
    batches: Sequence[Tensor],
    prepare: Prepare | None = None,
) -> Iterator[Tensor]:
    """Yield the images of each batch as networks expect them, (B, C, H, W).

    Args:
        images: what to choose from.
        info: of these images; they are normalised with its mean and deviation.
        batches: rows of the images, (B,) int64 on the CPU.
        prepare: changes the pixels beforehand: gets a batch's rows (B,) and its images
            (B, H, W, C) uint8, and returns images (B, h, w, C) uint8.
    """
    for rows, pixels in zip(batches, images.batches(batches), strict=True):
        shown = prepare(rows, pixels) if prepare else pixels
        yield normalise(shown, info.mean, info.std)


@torch.inference_mode()
def infer(
    network: Classifier,
    images: ImageSet,
    info: DataSetInfo,
    batches: Sequence[Tensor],
    prepare: Prepare | None = None,
    *,
    features: bool = False,
) -> Iterator[Outputs]:
    """Yield a network's outputs for each batch; those of B images.

    Args:
        network: in evaluation mode, on the device of the images.
        images: what to choose from.
        info: of the images as the network sees them.
        batches: rows of the images, (B,) int64 on the CPU.
        prepare: changes the pixels beforehand, as in ``normalised``.
        features: whether the outputs shall have the stage maps (B, c, h, w).
    """
    for pixels in normalised(images, info, batches, prepare):
        yield network(pixels, features=features)


def predict(
    network: Classifier, images: ImageSet, info: DataSetInfo, name: str = "the network"
) -> Predictions:
    """Return what a network says of a set of images, as they are.

    Args:
        network: in evaluation mode, on the device of the images.
        images: what to show it.
        info: of the images as the network sees them.
        name: of the network, for messages.

    Raises:
        Diverged: an output is not finite.
    """
    batches = in_batches(len(images), batch_size(images))
    logits = embedding = torch.empty(0)
    for rows, out in zip(batches, infer(network, images, info, batches), strict=True):
        if not len(logits):
            # At once: small pieces of each batch would leave holes that take several times as much.
            logits, embedding = (
                torch.empty(len(images), each.shape[1]) for each in (out.logits, out.embedding)
            )
        some = slice(int(rows[0]), int(rows[-1]) + 1)
        logits[some], embedding[some] = out.logits.cpu(), out.embedding.cpu()
    if not logits.isfinite().all() or not embedding.isfinite().all():
        raise not_finite(network, normalised(images, info, batches), name)
    return Predictions(images.labels.cpu().numpy(), logits.numpy(), embedding.numpy())


def not_finite(network: Classifier, shown: Iterable[Tensor], name: str) -> Diverged:
    """Return the error for a network whose outputs are not finite: it names weight or layer.

    Args:
        network: in evaluation mode.
        shown: batches of images (B, C, H, W), normalised.
        name: of the network.
    """
    weight = first_improper_weight(network)
    if weight:
        return Diverged(f"{name}: its outputs are not finite, since weight {weight}")
    layers = (first_improper_layer(network, pixels) for pixels in shown)
    layer = next((each for each in layers if each), "none alone")
    return Diverged(f"{name}: its outputs are not finite; the first such layer is '{layer}'")
