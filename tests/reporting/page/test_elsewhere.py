"""Captions for Snakemake's report and DVC's plots."""

import json
import re

from docutils.core import publish_parts
from jinja2 import Environment

from distillery.reporting.page.elsewhere import dvc_template, restructured

CAPTION = "|student − teacher| of *all* a_b_ `x` {{ y }} {% z %}: p < 0.05."


def test_snakemake_shows_a_caption_as_it_is() -> None:
    text = Environment().from_string(restructured(CAPTION)).render()
    body = publish_parts(text, writer_name="html")["body"]
    shown = re.sub(r"<[^>]+>", "", body).replace("&lt;", "<").strip()
    assert shown == CAPTION.replace("{%", "{ %")


def test_dvc_has_the_captions_and_loads_nothing() -> None:
    page = dvc_template("A <title>", "reports/mine", {"accuracy": "Of </script> & more."})
    assert {"{plot_divs}", "{refresh_tag}"} <= set(re.findall(r"\{\w+\}", page))
    assert not re.search(r"https?:|src=", page)
    (data,) = re.findall(r'id="captions">(.*?)</script>', page)
    assert json.loads(data) == {"reports/mine/figures/accuracy.png": "Of </script> & more."}
    assert "A &lt;title&gt;" in page
