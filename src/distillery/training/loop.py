"""The training loop of teachers and students."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from distillery.core.errors import DamagedArtifact, Diverged, Interrupted
from distillery.core.progress import Progress
from distillery.core.randomness import seed_for
from distillery.core.signals import on_request_to_end
from distillery.models.base import Classifier, Outputs
from distillery.models.finite import first_improper_weight
from distillery.training import checkpoint, distributed
from distillery.training.checkpoint import TrainingState
from distillery.training.distiller import Distiller, StepOutput, run_teachers
from distillery.training.loader import Item, ViewLoader
from distillery.training.optimizer import new_optimizer
from distillery.training.schedule import learning_rate, step_decay
from distillery.training.settings import Training
from distillery.training.step import training_step
from distillery.training.sums import IMAGES, EpochSums

_CHECKPOINT_SECONDS = 30.0
# Processes agree on stopping every so many steps, since asking each other costs time.
_STOP_CHECK_STEPS = 20

Evaluate = Callable[[Classifier], dict[str, float]]


@dataclass(frozen=True)
class Phase:
    """A stage of training with its own length, learning rates and trained parameters.

    Attributes:
        name: what the history calls it.
        epochs: number of its epochs.
        rate: learning rate of each.
        parameters: what is trained.
        then: number of the epoch that comes after its last one; None: none.
    """

    name: str
    epochs: int
    rate: Callable[[int], float]
    parameters: list[nn.Parameter]
    then: int | None = None

    def following(self, epoch: int) -> int | None:
        """Return the number of the epoch that comes after one of this phase; None: none."""
        return epoch + 1 if epoch + 1 < self.epochs else self.then


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
        name: str = "the network",
    ) -> None:
        self.accelerator = accelerator
        self.distiller = distiller
        self.loader = loader
        self.settings = settings
        self.teachers = teachers
        self.evaluate = evaluate
        self.scratch = scratch
        self.name = name
        self.state = TrainingState()
        self._stop = False
        self._saved_at = time.monotonic()
        self._started_at = time.monotonic()

    def run(self) -> TrainingState:
        """Train to the end, or until a signal asks to stop or a number is not finite."""
        phases = self._phases()
        saved = checkpoint.load(self.scratch)
        if saved:
            self.state = TrainingState(**saved["state"])
            self._check_processes()
            if self.accelerator.process_index:
                self.state.sums = self.state.other_sums[self.accelerator.process_index - 1]
            self.distiller.load_state_dict(saved["model"])
        self._started_at = time.monotonic() - self.state.seconds
        total = sum(phase.epochs for phase in phases)
        progress = Progress("epochs", total, len(self.state.history), self.scratch)
        # A request to end becomes a checkpoint after the present step.
        with on_request_to_end(self._request_stop), progress:
            for number in range(self.state.phase, len(phases)):
                if number == len(phases) - 1:
                    self.distiller.finish_pretraining()
                self._run_phase(phases[number], saved, progress)
                saved = None
                self.state.phase, self.state.epoch = number + 1, 0
        self.state.seconds = time.monotonic() - self._started_at
        return self.state

    def _check_processes(self) -> None:
        """Refuse a checkpoint of another number of processes, each of which kept its own sums.

        Raises:
            DamagedArtifact: it is one.
        """
        saved, present = 1 + len(self.state.other_sums), self.accelerator.num_processes
        if saved != present:
            raise DamagedArtifact(
                f"{self.scratch}: the checkpoint is one of {saved} processes, and this run has "
                f"{present}; delete the folder to begin this run again"
            )

    def _phases(self) -> list[Phase]:
        """Return the method's own first stage, if it has one, and the distillation proper."""
        settings, distiller = self.settings, self.distiller
        phases = []
        stage = distiller.method.pretraining()
        if stage and stage.epochs:
            first_rate = stage.lr or settings.lr
            trained = distiller if stage.trains_student else distiller.methods
            phases.append(
                Phase(
                    "pretrain",
                    stage.epochs,
                    lambda epoch: step_decay(first_rate, epoch, stage.milestones),
                    list(trained.parameters()),
                    then=0,
                )
            )
        phases.append(
            Phase(
                "train",
                settings.epochs,
                lambda epoch: learning_rate(settings, epoch),
                list(distiller.parameters()),
            )
        )
        return phases

    def _run_phase(self, phase: Phase, saved: dict[str, Any] | None, progress: Progress) -> None:
        # The optimiser skips what has no gradient, such as parts frozen after pre-training.
        optimizer = new_optimizer(phase.parameters, self.settings, phase.rate(0))
        if saved:
            optimizer.load_state_dict(saved["optimizer"])
            if saved["scaler"] and self.accelerator.scaler:
                self.accelerator.scaler.load_state_dict(saved["scaler"])
        model, optimizer = self.accelerator.prepare(self.distiller, optimizer)
        for epoch in range(self.state.epoch, phase.epochs):
            rate = phase.rate(epoch)
            for group in optimizer.param_groups:
                group["lr"] = rate
            self._run_epoch(phase, model, optimizer)
            row = {"phase": phase.name, "epoch": epoch + 1, "lr": rate, **self._metrics(phase)}
            self.state.history.append(row)
            self.state.diagnostics.append(
                {
                    name: (total / count).cpu()
                    for name, (total, count) in self.state.diagnosing.items()
                }
            )
            self.state.epoch, self.state.batch = epoch + 1, 0
            self.state.sums, self.state.diagnosing = {}, {}
            if self.accelerator.is_main_process:
                progress.advance()
                progress.line(_log_line(row, phase.epochs, self._images_a_second()))
            self._save_or_stop(optimizer)

    def _run_epoch(self, phase: Phase, model: nn.Module, optimizer: Any) -> None:
        """Do the batches of the epoch that are left."""
        self.distiller.train()
        state, sums = self.state, EpochSums(self.state.sums)
        batches = self.loader.epoch(
            state.epoch, state.batch, state.step - state.batch, phase.following(state.epoch)
        )
        for item in batches:
            step = self._step(phase, model, optimizer, item)
            self._diagnose(step)
            sums.add(step, item.batch.labels)
            self.state.batch += 1
            self.state.step += 1
            if self._must_save():
                self._read(sums)
                self._save_or_stop(optimizer)
        self._read(sums)

    def _read(self, sums: EpochSums) -> None:
        """Take over the sums of the epoch so far.

        Raises:
            Diverged: a loss term is not finite.
        """
        self.state.sums = sums.read()
        wrong = sums.not_finite()
        if wrong:
            begun = self.state.batch - sums.steps
            raise self._diverged(f"the loss term '{wrong.term}' is", begun + wrong.step)

    def _step(self, phase: Phase, model: nn.Module, optimizer: Any, item: Item) -> StepOutput:
        """Do one step.

        Raises:
            Diverged: it fails, and the weights are not finite.
        """
        # What layers draw, as dropout, is the same whether or not a run was interrupted.
        rank = self.accelerator.process_index
        torch.manual_seed(seed_for(self.loader.seed, "layers", self.state.step, rank))
        try:
            return training_step(
                self.distiller,
                optimizer,
                item.images,
                item.batch,
                partial(self._teach, item),
                model=model,
                backward=self.accelerator.backward,
                clip=self._clip(phase),
                pretraining=phase.name == "pretrain",
            )
        except (RuntimeError, ValueError):
            # Decompositions and draws, for example, refuse numbers that are not finite.
            if all(weight.isfinite().all() for weight in self.distiller.parameters()):
                raise
            raise self._diverged("weights are", self.state.batch) from None

    def _diverged(self, what: str, batch: int) -> Diverged:
        """Return the error for numbers that are not finite in a batch (from 0) of this epoch."""
        return Diverged(
            f"{self.name}: {what} not finite in epoch {self.state.epoch + 1}, step {batch + 1}: "
            "lower training.lr or the method's weight"
        )

    def _clip(self, phase: Phase) -> Callable[[], object] | None:
        """Return what scales down the gradients, in mixed precision those behind the scaler."""
        if self.settings.clip_norm is None:
            return None
        return partial(self.accelerator.clip_grad_norm_, phase.parameters, self.settings.clip_norm)

    def _teach(self, item: Item, images: Tensor) -> Sequence[Outputs]:
        """Return the cached outputs of the teachers, or run them."""
        if not self.teachers:
            return item.teachers
        with self.accelerator.autocast():
            return run_teachers(self.teachers, images, self.distiller.method)

    def _diagnose(self, step: StepOutput) -> None:
        """Add what the method logged in a step to the epoch's tallies."""
        tallies = self.state.diagnosing
        for name, value in step.diagnostics.items():
            total, count = tallies.get(name, (torch.zeros((), dtype=torch.float64), 0))
            tallies[name] = total.to(value.device) + value.double(), count + 1

    def _metrics(self, phase: Phase) -> dict[str, float]:
        """Return the means of the epoch's metrics and, when due, the accuracies.

        Raises:
            Diverged: a weight or an output is not finite.
        """
        sums = torch.tensor(
            list(self.state.sums.values()), dtype=torch.float64, device=self.accelerator.device
        )
        if self.accelerator.num_processes > 1:
            sums = self.accelerator.reduce(sums)
        totals = dict(zip(self.state.sums, sums.tolist(), strict=True))
        images = totals.pop(IMAGES)
        metrics = {name: value / images for name, value in totals.items()}
        wrong = first_improper_weight(self.distiller)
        if wrong:
            raise self._diverged(f"weight {wrong}; it is", self.state.batch - 1)
        epoch = self.state.epoch + 1
        due = epoch % self.settings.evaluate_every == 0 or epoch == phase.epochs
        if due and phase.name == "train":
            self.distiller.eval()
            if self.accelerator.num_processes > 1:
                # Each process has normalised its own images last.
                distributed.agree(self.distiller.student)
            try:
                metrics.update(self.evaluate(self.distiller.student))
            except Diverged as error:
                at = f"after epoch {epoch}, step {self.state.batch}"
                raise Diverged(
                    f"{error}, {at}: lower training.lr, train longer, or measure later "
                    "(training.evaluate_every)"
                ) from None
        return metrics

    def _must_save(self) -> bool:
        if self.accelerator.num_processes > 1:
            return self.state.step % _STOP_CHECK_STEPS == 0
        return self._stop or time.monotonic() - self._saved_at > _CHECKPOINT_SECONDS

    def _save_or_stop(self, optimizer: Any) -> None:
        """Save when a while has passed since the last time, or when asked to stop.

        Raises:
            Interrupted: a signal asked to stop; the state is saved.
        """
        now = time.monotonic()
        stop, is_due = self._stop, now - self._saved_at > _CHECKPOINT_SECONDS
        if self.accelerator.num_processes > 1:
            wishes = torch.tensor([stop, is_due], dtype=torch.float, device=self.accelerator.device)
            stop, is_due = (self.accelerator.reduce(wishes) > 0).tolist()
        if not stop and not is_due:
            return
        if self.accelerator.num_processes > 1:
            shares = distributed.gather_sums(self.state.sums, self.accelerator.device)
            self.state.other_sums = shares[1:]
        self.state.seconds = now - self._started_at
        if self.accelerator.is_main_process:
            plain = getattr(optimizer, "optimizer", optimizer)
            checkpoint.save(
                self.scratch, self.state, self.distiller, plain, self.accelerator.scaler
            )
        self._saved_at = time.monotonic()
        if stop:
            self.accelerator.wait_for_everyone()
            raise Interrupted("stopped; the next start resumes from the checkpoint")

    def _request_stop(self, signal: int) -> None:
        self._stop = True

    def _images_a_second(self) -> float:
        seen = self.state.step * self.settings.batch_size
        return seen / max(time.monotonic() - self._started_at, 1e-9)


def _log_line(row: dict[str, Any], epochs: int, rate: float) -> str:
    shown = " ".join(
        f"{name} {value:.4g}" for name, value in row.items() if name not in ("phase", "epoch")
    )
    return f"{row['phase']} {row['epoch']}/{epochs} {shown} ({rate:.0f} images/s)"
