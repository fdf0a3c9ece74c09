"""Any network that torch.fx can trace as a classifier, by torchvision's feature extraction.

The last linear layer with as many outputs as there are classes is the head, and what it reads is
the embedding. A stage ends with the last map of each size; sizes are compared on large images,
where they differ. Maps whose size does not divide that of the images belong to no stage, as those
of attention or of an adaptive pooling, nor do maps of one pixel, as in squeeze-and-excitation.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from distillery.core.errors import UserError
from distillery.models.base import Classifier, FeatureRecorder

_LOGITS, _EMBEDDING, _STAGE = "logits", "embedding", "stage"
_MAP = 4


class TracedClassifier(Classifier):
    """A traced network, which returns logits, embedding and the maps of its stages at once."""

    def __init__(
        self, network: nn.Module, arch: str, *, num_classes: int, in_channels: int, reference: int
    ) -> None:
        """Trace a network.

        Args:
            network: maps images (B, C, H, W) to logits (B, num_classes) or something after them.
            arch: its name, for messages.
            num_classes: number of logits.
            in_channels: channels of the images.
            reference: height and width of images on which its maps are told apart.

        Raises:
            UserError: it cannot be traced, or does not end in a linear layer.
        """
        super().__init__()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                train, evaluation = get_graph_node_names(network)
                head = _head(network, evaluation, num_classes)
                stages = _stages(network, train, evaluation, in_channels, reference)
                wanted = {name: f"{_STAGE}{number}" for number, name in enumerate(stages)}
                if head:
                    embedding = evaluation[evaluation.index(head) - 1]
                    wanted |= {head: _LOGITS, embedding: _EMBEDDING}
                self.network: nn.Module = create_feature_extractor(network, wanted)
        # A network may fail in any way when it is traced.
        except Exception as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise UserError(
                f"model '{arch}': torch.fx cannot trace it ({reason}); make it a subclass of "
                "distillery.models.base.Classifier, see docs/adding-a-model.md"
            ) from None
        if not head:
            raise UserError(
                f"model '{arch}': no linear layer with {num_classes} outputs ends it, so that it "
                "has no embedding and no head"
            )
        self.head_path = f"network.{head}"
        # A single map, as that of patches, is no sequence of stages.
        self.stages = len(stages) if len(stages) > 1 else 0
        maps = {"features"} if self.stages else set()
        self.supplies = frozenset({"logits", "embedding", "classifier", *maps})

    @property
    def published(self) -> nn.Module:
        """The network under the names that it gives its weights."""
        return self.network

    def encode(self, images: Tensor, recorder: FeatureRecorder) -> tuple[Tensor | None, Tensor]:
        """Map images (B, C, H, W) to the embedding (B, D), recording the stages' maps."""
        found: Mapping[str, Tensor] = self.network(images)
        for number in range(self.stages):
            recorder.record(found[f"{_STAGE}{number}"])
        return None, found[_EMBEDDING]


def _head(network: nn.Module, names: list[str], num_classes: int) -> str:
    """Return the path of the last linear layer of this width that is run; empty if none is."""
    layers = dict(network.named_modules())
    for name in reversed(names):
        layer = layers.get(name)
        if isinstance(layer, nn.Linear) and layer.out_features == num_classes:
            return name
    return ""


def _stages(
    network: nn.Module, train: list[str], evaluation: list[str], in_channels: int, reference: int
) -> list[str]:
    """Return the names of the last map of each size, from the largest to the smallest."""
    # What the graph starts with are the images themselves.
    names = [name for name in evaluation[1:] if name in set(train)]
    was_training = network.training
    extractor = create_feature_extractor(network.eval(), {name: name for name in names})
    with torch.no_grad():
        found = extractor(torch.zeros(1, in_channels, reference, reference))
    network.train(was_training)
    last: dict[int, str] = {}
    for name in names:
        value = found[name]
        if isinstance(value, Tensor) and value.ndim == _MAP:
            height, width = value.shape[2:]
            if height == width > 1 and reference % height == 0:
                last[height] = name
    return [last[size] for size in sorted(last, reverse=True)]
