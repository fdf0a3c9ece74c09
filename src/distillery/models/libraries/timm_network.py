"""Networks of timm: ``timm/resnet18`` is what ``timm.create_model("resnet18")`` makes.

They are timm's own modules with its initialisation; nothing is downloaded. Channels and, where it
is part of a network, the size of images are adapted by timm. The embedding is timm's
``forward_head(..., pre_logits=True)``, the maps of the stages its ``forward_intermediates``: those
of ``feature_info``, or of four blocks at equal distances where all maps have one size.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from distillery.core.errors import UserError
from distillery.models.base import Classifier, FeatureRecorder

_STAGES_OF_ISOTROPIC = 4


def names() -> list[str]:
    """Return the names of all networks."""
    return [str(name) for name in _timm().list_models()]


def build(arch: str, *, num_classes: int, in_channels: int, image_size: int) -> Classifier:
    """Return a new network.

    Raises:
        UserError: timm cannot make it for images of this size, or it has no single linear head.
    """
    name = arch.partition("/")[2]
    timm = _timm()
    options: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_channels}
    shown = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if shown is not None and shown.fixed_input_size:
        options["img_size"] = image_size
    try:
        network = timm.create_model(name, pretrained=False, **options)
    # Constructors that the size does not suit fail in many ways.
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"model '{arch}': not for images of {image_size} x {image_size} pixels ({reason}); "
            "see the data set's `image_size`"
        ) from None
    return TimmNetwork(network, arch)


class TimmNetwork(Classifier):
    """A network of timm, asked for features and embedding by timm's own means."""

    def __init__(self, network: Any, arch: str) -> None:
        """Wrap a network; it is a ``UserError`` if it does not end in one linear layer."""
        super().__init__()
        head = network.get_classifier()
        if not isinstance(head, nn.Linear):
            raise UserError(
                f"model '{arch}': it ends in {_article(type(head).__name__)}, not in one linear "
                "layer, so that it has no embedding and no head"
            )
        self.network = network
        path = next(path for path, layer in network.named_modules() if layer is head)
        self.head_path = f"network.{path}"
        self.indices = _stages(network)
        maps = {"features"} if self.indices else set()
        self.supplies = frozenset({"logits", "embedding", "classifier", *maps})

    @property
    def published(self) -> nn.Module:
        """The network under the names that timm gives its weights."""
        network: nn.Module = self.network
        return network

    def encode(self, images: Tensor, recorder: FeatureRecorder) -> tuple[Tensor | None, Tensor]:
        """Map images (B, C, H, W) to the embedding (B, D), recording the stages' maps."""
        if recorder.wants_features and self.indices:
            last, maps = self.network.forward_intermediates(
                images, indices=self.indices, output_fmt="NCHW"
            )
            for each in maps:
                recorder.record(each)
        else:
            last = self.network.forward_features(images)
        embedding: Tensor = self.network.forward_head(last, pre_logits=True)
        return None, embedding


def _stages(network: Any) -> list[int]:
    """Return the numbers of the stages' maps among those that timm can give."""
    info = getattr(network, "feature_info", None) or []
    if not hasattr(network, "forward_intermediates"):
        return []
    # A list of facts, or an object around one.
    facts = list(getattr(info, "info", info))
    sizes = {each["reduction"] for each in facts}
    if len(sizes) > 1 or len(facts) <= _STAGES_OF_ISOTROPIC:
        return list(range(len(facts)))
    step = len(facts) / _STAGES_OF_ISOTROPIC
    return [round(step * (number + 1)) - 1 for number in range(_STAGES_OF_ISOTROPIC)]


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOU' else 'a'} {noun}"


def _timm() -> Any:
    try:
        import timm
    except ImportError:
        raise UserError(
            "networks of timm need the package timm: install distillery[timm], for example by "
            "`uv sync --extra timm`"
        ) from None
    return timm
