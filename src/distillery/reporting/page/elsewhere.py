"""The same captions where others show the figures: ``snakemake --report`` and ``dvc plots``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from distillery.reporting.page.templating import script_data, template


def restructured(caption: str) -> str:
    """Return a caption as Snakemake reads one: reStructuredText in a Jinja template."""
    escaped = re.sub(r"([\\*`|_])", r"\\\1", caption)
    return "{% raw %}" + escaped.replace("{%", "{ %") + "{% endraw %}\n"


def dvc_template(title: str, captions: Mapping[str, str]) -> str:
    """Return the page into which ``dvc plots show`` puts its plots.

    It has each figure's caption in place of the name of its file, and loads nothing.

    Args:
        title: title of the report.
        captions: figure -> caption.
    """
    data = script_data(dict(captions))
    return template("plots.html.j2").render(title=title, captions=data) + "\n"
