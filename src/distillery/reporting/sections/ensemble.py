"""Section of the study ``ensemble``: accuracy over the number of teachers."""

from __future__ import annotations

from distillery.reporting.sections.study import StudySection


class Ensemble(StudySection):
    """Accuracy over the number of teachers."""

    title = "Ensembles of teachers"
    caption = (
        "Test top-1 accuracy (%) at the last epoch of students that learn from the first so many "
        "teachers of their pair. What needs no teacher is the same for every number."
    )
    setting, axis = "teachers", "Teachers"

    def write(self, value: float) -> str:
        """Write a number of teachers."""
        return f"{value:.0f}"
