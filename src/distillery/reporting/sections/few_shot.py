"""Section of the study ``few-shot``: accuracy over the share of the training images."""

from __future__ import annotations

from distillery.reporting.sections.study import StudySection


class FewShot(StudySection):
    """Accuracy over the share of the training images."""

    title = "Few-shot distillation"
    caption = (
        "Test top-1 accuracy (%) at the last epoch of students that learn from a part of the "
        "training images, the same for all methods and seeds. The teacher has learned from all "
        "that its own settings give it."
    )
    setting, axis = "split.fraction", "Training images (%)"

    def write(self, value: float) -> str:
        """Write a share in percent."""
        return f"{100 * value:.4g}"
