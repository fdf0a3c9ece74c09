"""A training step as RepDistiller takes it, written anew from what it does; none of its code.

What it does with each batch, and what costs time:

* the loader's workers open each image with PIL, pad, crop, flip and normalise it by itself;
* the teacher runs beside the student, without gradient;
* CRD's workers draw K negatives of other classes for each image, none twice; the loss gathers
  the (B, K + 1, D) rows of both memory banks and takes batched products with them;
* the loss and both accuracies are read back as Python numbers after every step;
* networks and images have the default memory format, and plain SGD updates one parameter at a time.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks import made_up
from benchmarks.training_step import mean_seconds
from distillery.core.errors import UserError
from distillery.models import registry

WORKERS, DIM, TEMPERATURE, KD_TEMPERATURE, MOMENTUM = 2, 128, 0.07, 4.0, 0.5
EPSILON = 1e-7


class Images(Dataset[Any]):
    """Images that are varied one by one and, for CRD, their negatives."""

    def __init__(self, count: int, negatives: int) -> None:
        shown = made_up.image_set(count)
        self._pixels, self._labels = shown.images.numpy(), made_up.labels().numpy()
        self._count, self._negatives = count, negatives
        self._others = [
            np.flatnonzero(self._labels != label) if negatives else np.empty(0, dtype=np.int64)
            for label in range(made_up.CLASSES)
        ]
        self._vary = transforms.Compose(
            [
                transforms.RandomCrop(made_up.SIDE, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(made_up.MEAN, made_up.STD),
            ]
        )

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> tuple[Tensor, int, int, np.ndarray]:
        image = self._vary(Image.fromarray(self._pixels[number]))
        label = int(self._labels[number])
        rows = np.full(1, number)
        if self._negatives:
            drawn = np.random.choice(self._others[label], self._negatives, replace=False)  # noqa: NPY002
            rows = np.concatenate((rows, drawn))
        return image, label, number, rows


class GatheredContrast(nn.Module):
    """CRD with the rows of its banks gathered for every sample."""

    def __init__(self, student_dim: int, teacher_dim: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(dim, DIM) for dim in (student_dim, teacher_dim))
        for name in ("student_bank", "teacher_bank"):
            self.register_buffer(name, F.normalize(torch.randn(made_up.IMAGES, DIM), dim=1))
        self._normalisers: list[float] = []

    def forward(self, student: Tensor, teacher: Tensor, position: Tensor, rows: Tensor) -> Tensor:
        """Return the loss of embeddings (B, d) at bank rows (B,) with rows (B, K + 1)."""
        own = [
            F.normalize(head(each), dim=1)
            for head, each in zip(self.heads, (student, teacher), strict=True)
        ]
        scores = []
        for anchors, bank in zip(own, (self.teacher_bank, self.student_bank), strict=True):
            gathered = bank.index_select(0, rows.view(-1)).view(*rows.shape, DIM)
            scores.append(torch.exp(torch.bmm(gathered, anchors[:, :, None]) / TEMPERATURE))
        if not self._normalisers:
            self._normalisers = [each.mean().item() * made_up.IMAGES for each in scores]
        loss = sum(
            self._noise_contrast(each / norm)
            for each, norm in zip(scores, self._normalisers, strict=True)
        )
        with torch.no_grad():
            for bank, fresh in zip((self.student_bank, self.teacher_bank), own, strict=True):
                moved = bank.index_select(0, position) * MOMENTUM + fresh * (1 - MOMENTUM)
                bank.index_copy_(0, position, F.normalize(moved, dim=1))
        return loss

    def _noise_contrast(self, scores: Tensor) -> Tensor:
        noise = (scores.shape[1] - 1) / made_up.IMAGES
        positive = scores[:, 0] / (scores[:, 0] + noise + EPSILON)
        negative = noise / (scores[:, 1:] + noise + EPSILON)
        return -(positive.log().sum() + negative.log().sum()) / len(scores)


class ReferenceStep:
    """The step of KD or CRD, over and over, with a loader of its own for every slice."""

    def __init__(self, pair: tuple[str, str], method: str, warmup: int, timed: int) -> None:
        """Prepare it; ``method`` is kd or crd."""
        if method not in ("kd", "crd"):
            raise UserError(f"no reference step of '{method}'; allowed: kd, crd")
        self._teacher, self._student = (
            registry.build(arch, num_classes=made_up.CLASSES) for arch in pair
        )
        self._teacher.eval()
        self._student.train()
        dims = [made_up.described(arch).embedding_dim for arch in pair]
        self._contrast = GatheredContrast(dims[1], dims[0]) if method == "crd" else None
        trained = [*self._student.parameters(), *(self._contrast or nn.Module()).parameters()]
        self._optimizer = torch.optim.SGD(trained, 0.05, momentum=0.9, weight_decay=5e-4)
        negatives = made_up.NEGATIVES if method == "crd" else 0
        self._images = Images(2 * made_up.BATCH, negatives)
        self._warmup, self._timed = warmup, timed

    def __call__(self) -> float:
        """Return the mean seconds of a step, in which the workers keep up as they can."""
        loader = DataLoader(
            self._images,
            made_up.BATCH,
            sampler=_Endless(len(self._images), (self._warmup + self._timed) * made_up.BATCH),
            num_workers=WORKERS,
        )
        batches = iter(loader)
        return mean_seconds(
            lambda: self._step(*next(batches)), self._warmup, self._timed, time.perf_counter
        )

    def _step(self, images: Tensor, labels: Tensor, position: Tensor, rows: Tensor) -> list[float]:
        student = self._student(images)
        with torch.no_grad():
            teacher = self._teacher(images)
        loss = F.cross_entropy(student.logits, labels)
        if self._contrast:
            contrast = self._contrast(student.embedding, teacher.embedding, position, rows)
            loss = loss + 0.8 * contrast
        else:
            soft = F.log_softmax(student.logits / KD_TEMPERATURE, dim=1)
            wanted = F.softmax(teacher.logits / KD_TEMPERATURE, dim=1)
            divergence = F.kl_div(soft, wanted, reduction="sum") / len(labels)
            loss = 0.1 * loss + 0.9 * KD_TEMPERATURE**2 * divergence
        ranked = student.logits.topk(5, dim=1).indices == labels[:, None]
        logged = [loss.item(), ranked[:, :1].float().sum().item(), ranked.float().sum().item()]
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return logged


class _Endless(torch.utils.data.Sampler[int]):
    """Shows few images again and again, so many in all."""

    def __init__(self, images: int, shown: int) -> None:
        self._images, self._shown = images, shown

    def __iter__(self) -> Iterator[int]:
        return itertools.islice(itertools.cycle(range(self._images)), self._shown)

    def __len__(self) -> int:
        return self._shown
