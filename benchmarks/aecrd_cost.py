"""What AECRD costs: its share of a student's step, and its memory beside CRD's.

AECRD is to take at most a tenth of a training step of resnet8x4 with cross-entropy and AECRD, on
32 x 32 images, 64 a step, D = 128, one thread of the CPU, and to hold at most a twentieth of what
CRD holds in its banks (n = 50,000) and scores (K = 16,384).
"""

from __future__ import annotations

import torch
from timing import compare

from distillery.methods import registry as methods
from distillery.methods.base import Batch, Context, Method
from distillery.models import registry as models
from distillery.models.base import Outputs
from distillery.models.spec import describe
from distillery.training.distiller import Distiller

BATCH, CLASSES, IMAGES, NEGATIVES = 64, 100, 50_000, 16_384
STUDENT, TEACHER = "resnet8x4", "resnet32x4"
TIME_LIMIT, MEMORY_LIMIT = 1 / 10, 1 / 20


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    aecrd, crd = new_method("aecrd"), new_method("crd", negatives=NEGATIVES)
    share = time_share(aecrd)
    aecrd_bytes, crd_bytes = (held_bytes(method) for method in (aecrd, crd))
    print(f"AECRD takes {100 * share:.1f}% of the student's step")
    ratio = aecrd_bytes / crd_bytes
    print(f"AECRD holds {aecrd_bytes / 1e6:.2f} MB, CRD {crd_bytes / 1e6:.2f} MB: x{ratio:.4f}")
    assert share <= TIME_LIMIT, "AECRD takes more time than it may"
    assert ratio <= MEMORY_LIMIT, "AECRD takes more memory than it may"


def new_method(name: str, **options: object) -> Method:
    """Return a method for the pair, with its defaults but for the options given."""
    student, teacher = (
        describe(arch, num_classes=CLASSES, in_channels=3, image_size=32)
        for arch in (STUDENT, TEACHER)
    )
    labels = torch.arange(IMAGES) % CLASSES
    method = methods.load(name)
    return method(method.Options(**options), Context(student, teacher, labels, seed=0, epochs=240))


def random_outputs(method: Method) -> tuple[Outputs, Outputs, Batch]:
    """Return outputs of both networks for a batch of random classes."""
    position = torch.randperm(IMAGES)[:BATCH]
    # No step in which diagnostics are taken: these come once in ten.
    batch = Batch(position, position % CLASSES, epoch=1, step=1)
    embedding = describe(STUDENT, num_classes=CLASSES, in_channels=3, image_size=32).embedding_dim
    student, teacher = (
        Outputs(torch.randn(BATCH, CLASSES), torch.randn(BATCH, embedding)) for _ in range(2)
    )
    student.embedding.requires_grad_()
    return student, teacher, batch


def time_share(method: Method) -> float:
    """Return the time of the method's loss and its gradient in units of the whole step."""
    student, teacher, batch = random_outputs(method)
    network = models.build(STUDENT, num_classes=CLASSES).to(memory_format=torch.channels_last)
    distiller = Distiller(network, [method], method.weights).train()
    optimizer = torch.optim.SGD(distiller.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    images = torch.randn(BATCH, 3, 32, 32).to(memory_format=torch.channels_last)

    def whole_step() -> None:
        optimizer.zero_grad()
        distiller(images, [teacher], batch).loss.backward()
        optimizer.step()

    def loss_alone() -> None:
        torch.stack([*method(student, teacher, batch).values()]).sum().backward()

    times = compare({"step of CE + AECRD": whole_step, "AECRD alone": loss_alone}, rounds=15)
    return times["AECRD alone"] / times["step of CE + AECRD"]


def held_bytes(method: Method) -> int:
    """Return the bytes of the method's state and of what its loss keeps for the backward pass."""
    student, teacher, batch = random_outputs(method)
    state = [*method.parameters(), *method.buffers()]
    held = {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in state}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        terms = method(student, teacher, batch)
    assert terms
    return sum(held.values())


if __name__ == "__main__":
    main()
