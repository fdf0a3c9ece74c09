"""Settings that another run selects: a student knows all candidates, and learns which it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distillery.training.settings import DistillationSettings

if TYPE_CHECKING:
    from distillery.runs.produce import Workspace

SELECTED = "selected.json"
SELECTED_BY = "selected-by"
"""Name under which a student finds the run that selects."""


class Tunable(DistillationSettings):
    """What a student is trained with, as far as it is known when the plan is made."""

    candidates: tuple[dict[str, Any], ...] = ()
    """What replaces settings of the same names, trial by trial; none if nothing is tuned."""


def as_selected(settings: Tunable, work: Workspace) -> Tunable:
    """Return the settings with what was selected, which goes to the record of the run, too.

    Args:
        settings: those that were planned.
        work: the run's inputs and record.
    """
    if not settings.candidates:
        return settings
    trial = work.inputs[SELECTED_BY].json(SELECTED)["trial"]
    values = settings.model_dump(mode="json", exclude={"candidates"})
    selected = type(settings).model_validate({**values, **settings.candidates[trial]})
    work.record["settings"] = selected.model_dump(mode="json")
    return selected
