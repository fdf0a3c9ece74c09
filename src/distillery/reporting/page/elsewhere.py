"""The same captions where others show the figures: ``snakemake --report`` and ``dvc plots``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from distillery.reporting.files import figure_file
from distillery.reporting.page.templating import script_data, template


def restructured(caption: str) -> str:
    """Return a caption as Snakemake reads one: reStructuredText in a Jinja template."""
    escaped = re.sub(r"([\\*`|_])", r"\\\1", caption)
    return "{% raw %}" + escaped.replace("{%", "{ %") + "{% endraw %}\n"


def dvc_template(title: str, folder: str, captions: Mapping[str, str]) -> str:
    """Return the page into which ``dvc plots show`` puts its plots.

    It has the caption of each figure of this report in place of the name of its file, leaves those
    of other reports as they are, and loads nothing.

    Args:
        title: title of the report.
        folder: the report's folder, as DVC has it in the names of plots.
        captions: figure -> caption.
    """
    paths = {figure_file(name, "png"): text for name, text in captions.items()}
    data = script_data({f"{folder}/{path}": text for path, text in paths.items()})
    return template("plots.html.j2").render(title=title, captions=data) + "\n"
