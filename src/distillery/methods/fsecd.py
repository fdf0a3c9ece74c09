"""Contrastive distillation by feature-space embedding (Ye, Chen and Lai 2023): a reconstruction.

Source: doi:10.12141/j.issn.1000-565X.220684. Certain, from its abstract: a student's feature,
embedded in the space of the teacher's, makes N pairs with the N teacher features of its batch; the
teacher's are fixed; positive pairs attract and negative ones repel each other, with classes or with
instances as positives; there are no further networks and no further data. The formula, the space,
the temperature and the weight were not at hand: they are options here, and ``docs/fsecd.md`` says
what their defaults rest on.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from distillery.core.errors import UserError
from distillery.core.settings import FrozenModel
from distillery.methods.base import Batch, Context, Method, Paper, Weights
from distillery.methods.parts.contrast import info_nce
from distillery.methods.parts.precision import upcast
from distillery.models.base import ModelSpec, Outputs


class FSECD(Method):
    """Student anchors are contrasted with the teacher's features of the batch: a reconstruction.

    With scores ``c[i, j]`` of student feature i and teacher feature j, a similarity divided by the
    temperature, and the positives P(i) of anchor i, the loss is the mean over the anchors of ::

        1 / |P(i)| * sum over p in P(i) of -ln(exp c[i, p] / sum over j of exp c[i, j])

    * ``level: instance``: P(i) is i alone, the teacher's feature of the same image (InfoNCE);
    * ``level: class``: P(i) are all images of the class, i included (SupCon's outer sum, Khosla et
      al. 2020).

    The sum over j is over the batch. With ``exclude_same_class`` it is over p and the other
    classes. The teacher's side has no gradient. A batch of one image has loss 0.

    By default the student's embedding is mapped linearly into the space of the teacher's; the map
    is trained along and gone afterwards. Logits need no such layer: every pair has them.
    Cosines lie in -1 to 1; products and distances of raw features do not, and need another
    temperature.

    Extra memory: five (B, B) matrices, or nine with ``exclude_same_class``, at the peak of the
    backward pass: 22 MB or 40 MB at B = 1024.
    """

    title = "FSECD"
    paper = Paper("Ye, Chen and Lai", "J. South China Univ. of Technology", 2023)
    kind = "contrastive"
    source = "after Ye et al. 2023: a reconstruction; temperature and weight by our own trials"
    needs = frozenset({"logits", "embedding"})
    weights = Weights(method=2)
    couples_batch = True

    class Options(FrozenModel):
        """Hyperparameters of FSECD, all of them a reconstruction."""

        level: Literal["instance", "class"] = "instance"
        """Whether the positives of an anchor are its own image alone, or its class."""
        space: Literal["logits", "penultimate", "linear"] = "linear"
        """What is compared: logits; embeddings, if those of both networks have one length; or the
        teacher's embedding with a learned linear map of the student's."""
        similarity: Literal["product", "distance"] = "product"
        """Inner product, which is the cosine of normalised features, or minus the squared distance.
        """
        normalise: bool = True
        """Whether features are divided by their lengths."""
        exclude_same_class: bool = True
        """Whether other images of the anchor's class are left out of the sum over j."""
        temperature: float = Field(default=0.2, gt=0)
        """Divides the similarities."""

    def __init__(self, options: Options, context: Context) -> None:
        super().__init__(options, context)
        sizes = context.student.embedding_dim, context.teacher.embedding_dim
        self.map = nn.Linear(*sizes) if options.space == "linear" else nn.Identity()

    @classmethod
    def check(cls, options: Options, student: ModelSpec, teacher: ModelSpec) -> None:
        """Refuse to compare embeddings of different lengths as they are.

        Raises:
            UserError: their lengths differ, and the space is ``penultimate``.
        """
        if options.space == "penultimate" and student.embedding_dim != teacher.embedding_dim:
            raise UserError(
                f"fsecd: options.space 'penultimate' needs embeddings of one length, but student "
                f"{student.arch} has {student.embedding_dim} and teacher {teacher.arch} "
                f"{teacher.embedding_dim}; take 'logits' or 'linear'"
            )

    def forward(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term ``contrast``."""
        anchors, candidates = self.map(self._features(student)), self._features(teacher).detach()
        scores = self._similarities(anchors, candidates) / self.options.temperature
        same_class = batch.labels[:, None] == batch.labels
        positives = same_class
        if self.options.level == "instance":
            positives = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
        if not self.options.exclude_same_class:
            return {"contrast": info_nce(scores, positives=positives)}
        others = scores.masked_fill(same_class, -torch.inf)
        return {"contrast": info_nce(scores, others, positives, apart=True)}

    def _features(self, outputs: Outputs) -> Tensor:
        return upcast(outputs.logits if self.options.space == "logits" else outputs.embedding)

    def _similarities(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        """Return the similarity of each anchor and each candidate, (B, D) both, as (B, B)."""
        if self.options.normalise:
            anchors, candidates = F.normalize(anchors, dim=1), F.normalize(candidates, dim=1)
        products = anchors @ candidates.T
        if self.options.similarity == "product":
            return products
        lengths = anchors.square().sum(1)[:, None] + candidates.square().sum(1)
        return 2 * products - lengths
