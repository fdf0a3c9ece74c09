"""Made-up results as a report reads them."""

from pathlib import Path

from made_up_results import Study

from distillery.reporting.results.collected import Results


def read(study: Study, folder: Path) -> Results:
    """Publish a study below ``folder`` and read it."""
    return Results.read(study.settings, study.publish(folder))
