"""The training loop of teachers and students."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from distillery.core.errors import DistilleryError, Interrupted
from distillery.core.progress import Progress
from distillery.methods.base import Method
from distillery.models.base import Classifier
from distillery.training import checkpoint, distributed
from distillery.training.checkpoint import Cursor
from distillery.training.distiller import Distiller, Step, run_teachers
from distillery.training.loader import Item, ViewLoader
from distillery.training.optimizer import sgd
from distillery.training.schedule import learning_rate
from distillery.training.settings import Training

_CHECKPOINT_SECONDS = 30.0
# Processes agree on stopping every so many steps, since asking each other costs time.
_STOP_CHECK_STEPS = 20

Evaluate = Callable[[Classifier], dict[str, float]]


@dataclass(frozen=True)
class Phase:
    """A stage of training with its own length, learning rates and trained parameters."""

    name: str
    epochs: int
    rate: Callable[[int], float]
    parameters: list[nn.Parameter]


class Loop:
    """Trains a distiller, checkpoints it, and resumes it."""

    def __init__(
        self,
        accelerator: Accelerator,
        distiller: Distiller,
        loader: ViewLoader,
        settings: Training,
        *,
        teachers: Sequence[Classifier] = (),
        evaluate: Evaluate,
        scratch: Path,
    ) -> None:
        self.accelerator = accelerator
        self.distiller = distiller
        self.loader = loader
        self.settings = settings
        self.teachers = teachers
        self.evaluate = evaluate
        self.scratch = scratch
        self.cursor = Cursor()
        self._stop = False
        self._saved_at = time.monotonic()
        self._started_at = time.monotonic()

    def run(self) -> Cursor:
        """Train to the end.

        Raises:
            Interrupted: a signal asked to stop; the state is saved.
            DistilleryError: the loss is not finite.
        """
        phases = self._phases()
        saved = checkpoint.load(self.scratch)
        if saved:
            self.cursor = Cursor(**saved["cursor"])
            if self.accelerator.process_index:
                self.cursor.sums = self.cursor.other_sums[self.accelerator.process_index - 1]
            self.distiller.load_state_dict(saved["model"])
        self._started_at = time.monotonic() - self.cursor.seconds
        total = sum(phase.epochs for phase in phases)
        with self._signals(), Progress("epochs", total, len(self.cursor.history)) as progress:
            for number in range(self.cursor.phase, len(phases)):
                if number == len(phases) - 1:
                    self._method.finish_pretraining()
                self._run_phase(phases[number], saved, progress)
                saved = None
                self.cursor.phase, self.cursor.epoch = number + 1, 0
        self.cursor.seconds = time.monotonic() - self._started_at
        return self.cursor

    @property
    def _method(self) -> Method:
        return self.distiller.method

    def _phases(self) -> list[Phase]:
        """Return the method's own first stage, if it has one, and the distillation proper."""
        settings = self.settings
        phases = []
        stage = self._method.pretraining()
        if stage and stage.epochs:
            first_rate = stage.lr or settings.lr
            trained: nn.Module = self.distiller if stage.trains_student else self._method
            phases.append(
                Phase(
                    "pretrain",
                    stage.epochs,
                    lambda epoch: first_rate * 0.1 ** sum(epoch >= m for m in stage.milestones),
                    list(trained.parameters()),
                )
            )
        phases.append(
            Phase(
                "train",
                settings.epochs,
                lambda epoch: learning_rate(settings, epoch),
                list(self.distiller.parameters()),
            )
        )
        return phases

    def _run_phase(self, phase: Phase, saved: dict[str, Any] | None, progress: Progress) -> None:
        # The optimiser skips what has no gradient, such as parts frozen after pre-training.
        optimizer = sgd(phase.parameters, self.settings, phase.rate(0))
        if saved:
            optimizer.load_state_dict(saved["optimizer"])
            if saved["scaler"] and self.accelerator.scaler:
                self.accelerator.scaler.load_state_dict(saved["scaler"])
        model, optimizer = self.accelerator.prepare(self.distiller, optimizer)
        for epoch in range(self.cursor.epoch, phase.epochs):
            rate = phase.rate(epoch)
            for group in optimizer.param_groups:
                group["lr"] = rate
            self._run_epoch(phase, model, optimizer)
            row = {"phase": phase.name, "epoch": epoch + 1, "lr": rate, **self._figures(phase)}
            self.cursor.history.append(row)
            self.cursor.diagnostics.append(
                {
                    name: (total / count).cpu()
                    for name, (total, count) in self.cursor.diagnosing.items()
                }
            )
            self.cursor.epoch, self.cursor.batch = epoch + 1, 0
            self.cursor.sums, self.cursor.diagnosing = {}, {}
            if self.accelerator.is_main_process:
                progress.advance()
                progress.line(_log_line(row, phase.epochs, self._images_a_second()))
            self._save_or_stop(optimizer)

    def _run_epoch(self, phase: Phase, model: nn.Module, optimizer: Any) -> None:
        """Do the batches of the epoch that are left."""
        self.distiller.train()
        sums = self.cursor.sums
        batches = self.loader.epoch(
            self.cursor.epoch, self.cursor.batch, self.cursor.step - self.cursor.batch
        )
        totals: Tensor | None = None
        names: list[str] = list(sums)
        for item in batches:
            step = self._step(phase, model, optimizer, item)
            self._diagnose(step)
            names, figures = _figures_of(step, item)
            if totals is None:
                totals = torch.tensor(
                    [sums.get(name, 0.0) for name in names], dtype=torch.float64
                ).to(figures.device)
            totals += figures
            self.cursor.batch += 1
            self.cursor.step += 1
            if self._must_save():
                self.cursor.sums = dict(zip(names, totals.tolist(), strict=True))
                self._save_or_stop(optimizer)
        if totals is not None:
            self.cursor.sums = dict(zip(names, totals.tolist(), strict=True))

    def _step(self, phase: Phase, model: nn.Module, optimizer: Any, item: Item) -> Step:
        images = self._method.make_views(item.images)
        teacher = item.teacher
        if self.teachers:
            with self.accelerator.autocast():
                teacher = run_teachers(self.teachers, images, self._method)
        step: Step = model(images, teacher, item.batch, pretraining=phase.name == "pretrain")
        self.accelerator.backward(step.loss)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self._method.after_step()
        return step

    def _diagnose(self, step: Step) -> None:
        """Add what the method logged in a step to the epoch's tallies."""
        tallies = self.cursor.diagnosing
        for name, value in step.diagnostics.items():
            total, count = tallies.get(name, (torch.zeros((), dtype=torch.float64), 0))
            tallies[name] = total.to(value.device) + value.double(), count + 1

    def _figures(self, phase: Phase) -> dict[str, float]:
        """Return the means of the epoch's figures and, when due, the accuracies."""
        sums = torch.tensor(
            list(self.cursor.sums.values()), dtype=torch.float64, device=self.accelerator.device
        )
        if self.accelerator.num_processes > 1:
            sums = self.accelerator.reduce(sums)
        totals = dict(zip(self.cursor.sums, sums.tolist(), strict=True))
        images = totals.pop("images")
        figures = {name: value / images for name, value in totals.items()}
        if not all(math.isfinite(value) for value in figures.values()):
            wrong = next(name for name, value in figures.items() if not math.isfinite(value))
            raise DistilleryError(
                f"the loss term '{wrong}' is not finite in epoch {self.cursor.epoch + 1}: "
                "lower training.lr or the method's weight"
            )
        epoch = self.cursor.epoch + 1
        due = epoch % self.settings.evaluate_every == 0 or epoch == phase.epochs
        if due and phase.name == "train":
            self.distiller.eval()
            if self.accelerator.num_processes > 1:
                # Each process has normalised its own images last.
                distributed.agree(self.distiller.student)
            figures.update(self.evaluate(self.distiller.student))
        return figures

    def _must_save(self) -> bool:
        if self.accelerator.num_processes > 1:
            return self.cursor.step % _STOP_CHECK_STEPS == 0
        return self._stop or time.monotonic() - self._saved_at > _CHECKPOINT_SECONDS

    def _save_or_stop(self, optimizer: Any) -> None:
        """Save when a while has passed since the last time, or when asked to stop."""
        now = time.monotonic()
        stop, is_due = self._stop, now - self._saved_at > _CHECKPOINT_SECONDS
        if self.accelerator.num_processes > 1:
            wishes = torch.tensor([stop, is_due], dtype=torch.float, device=self.accelerator.device)
            stop, is_due = (self.accelerator.reduce(wishes) > 0).tolist()
        if not stop and not is_due:
            return
        if self.accelerator.num_processes > 1:
            shares = distributed.gather_figures(self.cursor.sums, self.accelerator.device)
            self.cursor.other_sums = shares[1:]
        self.cursor.seconds = now - self._started_at
        if self.accelerator.is_main_process:
            plain = getattr(optimizer, "optimizer", optimizer)
            checkpoint.save(
                self.scratch, self.cursor, self.distiller, plain, self.accelerator.scaler
            )
        self._saved_at = time.monotonic()
        if stop:
            self.accelerator.wait_for_everyone()
            raise Interrupted("stopped; the next start resumes from the checkpoint")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Turn a request to end into a checkpoint after the present step."""

        def request(number: int, frame: Any) -> None:
            self._stop = True

        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
        previous = {number: signal.signal(number, request) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _images_a_second(self) -> float:
        seen = self.cursor.step * self.settings.batch_size
        return seen / max(time.monotonic() - self._started_at, 1e-9)


def _figures_of(step: Step, item: Item) -> tuple[list[str], Tensor]:
    """Return names and double-precision sums over the batch of what is logged."""
    images = len(item.batch.labels)
    names, values = ["loss", *step.terms], [step.loss.detach(), *step.terms.values()]
    weighted = torch.stack(values).double() * images
    counts = [weighted.new_tensor(float(images))]
    if step.logits is not None:
        names.append("train_top1")
        correct = (step.logits.argmax(dim=1) == item.batch.labels).sum()
        counts.insert(0, correct.double() * 100)
    return [*names, "images"], torch.cat([weighted, torch.stack(counts)])


def _log_line(row: dict[str, Any], epochs: int, rate: float) -> str:
    shown = " ".join(
        f"{name} {value:.4g}" for name, value in row.items() if name not in ("phase", "epoch")
    )
    return f"{row['phase']} {row['epoch']}/{epochs} {shown} ({rate:.0f} images/s)"
