"""Transfer of the representation: a linear classifier and neighbours on another data set.

The network is frozen, with its BatchNorm statistics. Linear probes of distilled students on STL-10
and TinyImageNet are those of CRD (Tian et al. 2020, arXiv:1910.10699), which does not say how they
are trained. The probe ``augmented`` follows the settings that HSAKD (Yang et al. 2021,
arXiv:2107.13715) published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from distillery.core.errors import UserError
from distillery.core.settings import FrozenModel, Id
from distillery.embeddings import extract
from distillery.embeddings.extract import Features, Normalisation, read, seen_info
from distillery.evaluation.base import METRICS, Protocol, Target
from distillery.evaluation.metrics import percent_equal

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from distillery.data.info import Part
    from distillery.evaluation.context import PlanContext
    from distillery.models.base import Classifier
    from distillery.runs.produce import Workspace
    from distillery.training.loader import ViewLoader

_MOMENTUM = 0.9


class Transfer(Protocol):
    """Probes of the frozen network on another data set."""

    title = "Transfer of the representation"

    class Options(FrozenModel):
        """Options of the protocol."""

        data: Id | None = None
        """Id of one of the `datasets`; the experiment's own data set when not given."""
        normalisation: Normalisation = "target"
        """Mean and deviation that its pixels are normalised with: its own (`target`), those of the
        `network`'s data set, or one `half` each for all channels, as HSAKD does for STL-10."""
        neighbours: int = Field(default=10, ge=1, le=1000)
        """Training images nearest to a test image, by cosine, that vote for its class."""
        probe: Literal["cached", "augmented"] = "cached"
        """Logistic regression on the embeddings of the images as they are, or HSAKD's: gradient
        descent on random boxes and flips, for which the network is run in every epoch."""
        standardise: bool = True
        """`cached`: bring each feature to mean 0 and deviation 1 on the training part."""
        l2: float = Field(default=1.0, gt=0)
        """`cached`: weight of half the squared coefficients beside the sum of the
        cross-entropies."""
        max_iterations: int = Field(default=2000, ge=1)
        """`cached`: iterations of L-BFGS after which the fit ends, converged or not."""
        epochs: int = Field(default=100, ge=1)
        """`augmented`: passes over the training part."""
        lr: float = Field(default=0.1, gt=0)
        """`augmented`: initial rate of SGD with Nesterov momentum 0.9 and no weight decay."""
        milestones: tuple[int, ...] = (30, 60, 90)
        """`augmented`: epochs after which the learning rate is divided by ten."""
        batch_size: int = Field(default=64, ge=1)
        """`augmented`: images a step."""
        seed: int = Field(default=0, ge=0)
        """`augmented`: seed of the order and of the boxes."""

        @model_validator(mode="after")
        def _fits_its_probe(self) -> Self:
            cached = ("standardise", "l2", "max_iterations")
            augmented = ("epochs", "lr", "milestones", "batch_size", "seed")
            for name in augmented if self.probe == "cached" else cached:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(
                        f"{name} has no meaning for the probe {self.probe}; leave it out"
                    )
            return self

    options: Options

    def __init__(self, options: FrozenModel) -> None:
        """Take the options; the cached probe computes without the network."""
        super().__init__(options)
        self.uses_device = self.options.probe == "augmented"

    def limits(self, per_class: Mapping[Part, Sequence[int]]) -> dict[str, int]:
        """The training images are the neighbours."""
        return {"neighbours": sum(per_class["train"])} if "train" in per_class else {}

    def target(self) -> Target:
        """Return the data set that the network is tried on."""
        extraction = extract.Settings(normalisation=self.options.normalisation)
        return Target(self.options.data, extraction)

    def check(self, context: PlanContext) -> None:
        """Check that the images of both data sets have as many channels.

        Raises:
            UserError: one data set is grey and the other one is not.
        """
        source, target = context.source, context.target
        if source and target and source[1] != target[1]:
            data = self.options.data
            name = f"'{data}'" if data else "the experiment's data set"
            raise UserError(
                f"options.data: images of {name} have {target[1]} channel(s), those that the "
                f"network is trained on have {source[1]}; both need as many (see `channels` of the "
                "data sets)"
            )

    def run(self, work: Workspace) -> None:
        """Write ``metrics.json``: accuracy on the target's test part, in percent.

        ``probe_top1`` is that of the linear classifier, ``knn_top1`` that of the nearest
        neighbours.

        Raises:
            UserError: there are fewer training images than ``neighbours``, or the augmented probe
                diverged.
        """
        options = self.options
        extracted = work.inputs["features"]
        train, test = read(extracted, "train"), read(extracted, "test")
        if options.neighbours > len(train.labels):
            raise UserError(
                f"protocol 'transfer': options.neighbours must be at most the number of training "
                f"images, {len(train.labels)}, not {options.neighbours}"
            )
        if options.probe == "cached":
            probe = fitted(train, options)
            work.record["probe_iterations"] = int(probe[-1].n_iter_.max())
            predicted = probe.predict(test.embedding.astype(np.float64))
        else:
            layer = _augmented(work, options)
            weight, bias = (each.detach().cpu().numpy() for each in (layer.weight, layer.bias))
            predicted = (test.embedding @ weight.T + bias).argmax(axis=1)
        nearest = voted(train, test.embedding, options.neighbours)
        work.write_json(
            METRICS,
            {
                "probe_top1": percent_equal(predicted, test.labels),
                "knn_top1": percent_equal(nearest, test.labels),
            },
        )


def fitted(train: Features, options: Transfer.Options) -> Any:
    """Return scikit-learn's pipeline of scaling and multinomial logistic regression, fitted.

    It minimises ``sum of cross-entropies + l2 / 2 * sum of squared coefficients``; intercepts are
    free. The problem is convex, so that there is no seed.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler() if options.standardise else "passthrough"
    regression = LogisticRegression(C=1 / options.l2, max_iter=options.max_iterations)
    return make_pipeline(scaler, regression).fit(train.embedding.astype(np.float64), train.labels)


def voted(train: Features, embedding: np.ndarray, neighbours: int) -> np.ndarray:
    """Return the class that most of the nearest training images have.

    Args:
        train: the training part.
        embedding: (N, D) of the images to classify.
        neighbours: how many vote; the smallest label wins a tie.

    Returns:
        (N,) int64.
    """
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import normalize

    # On the sphere distances order as cosines do, and they need no matrix of all pairs.
    search = KNeighborsClassifier(neighbours, algorithm="brute")
    search.fit(normalize(train.embedding), train.labels)
    found: np.ndarray = search.predict(normalize(embedding))
    return found


def descended(
    network: Classifier, loader: ViewLoader, classes: int, options: Transfer.Options, scratch: Path
) -> nn.Linear:
    """Return a linear layer trained on the embeddings of what ``loader`` shows.

    It begins with zeros, since the problem is convex. An interrupted run goes on with the epoch
    that it was in.

    Args:
        network: frozen and in evaluation mode, on the device of the images.
        loader: the images.
        classes: number of classes.
        options: of the augmented probe.
        scratch: folder for the checkpoint.

    Raises:
        UserError: the weights are not finite.
    """
    import torch
    import torch.nn.functional as F

    from distillery.core.progress import Progress
    from distillery.training import checkpoint
    from distillery.training.schedule import step_decay

    layer = torch.nn.Linear(network.embedding_dim, classes, device=loader.images.labels.device)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(
        layer.parameters(), lr=options.lr, momentum=_MOMENTUM, nesterov=True
    )
    done = 0
    saved = checkpoint.load(scratch)
    if saved:
        done = saved["state"]["epoch"]
        layer.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
    with Progress("epochs", options.epochs, done) as progress:
        for epoch in range(done, options.epochs):
            optimizer.param_groups[0]["lr"] = step_decay(options.lr, epoch, options.milestones)
            for item in loader.epoch(epoch):
                with torch.no_grad():
                    embedding = network(item.images).embedding
                loss = F.cross_entropy(layer(embedding), item.batch.labels)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
            checkpoint.save(scratch, checkpoint.TrainingState(epoch=epoch + 1), layer, optimizer)
            progress.advance()
    if not torch.isfinite(layer.weight).all():
        raise UserError(
            f"protocol 'transfer': the probe diverged; options.lr must be below {options.lr:g}"
        )
    return layer


def _augmented(work: Workspace, options: Transfer.Options) -> nn.Linear:
    """Return a linear layer trained on random boxes of the target's training images."""
    from distillery.core.devices import device_for_inference
    from distillery.data.info import DataSetInfo
    from distillery.data.prepared import load
    from distillery.data.settings import Augmentation, PrepareSettings
    from distillery.embeddings.views import ViewSchedule
    from distillery.models.weights import channels_of, load_network
    from distillery.training.loader import ViewLoader

    trained, source, target = (work.inputs[name] for name in ("network", "prepared", "target"))
    info = seen_info(trained, source, target, options.normalisation)
    device = device_for_inference(work.record)
    boxes = Augmentation(kind="random-resized-crop", size=info.shape[0])
    boxes = boxes.resolved(PrepareSettings.model_validate(target.settings).source)
    loader = ViewLoader(
        load(target, "train").of_channels(channels_of(trained)).to(device),
        info,
        boxes,
        ViewSchedule(boxes.views, options.epochs, options.seed),
        batch_size=options.batch_size,
        seed=options.seed,
    )
    network = load_network(trained, DataSetInfo.load(source)).to(device)
    return descended(network, loader, len(info.classes), options, work.scratch)
