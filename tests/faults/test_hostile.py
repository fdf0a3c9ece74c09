"""Whatever a file or a folder holds: one line, or a result; never a crash, and no code is run."""

from __future__ import annotations

import csv
import json
import re
from contextlib import chdir
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from campaign import Campaigns, one_line
from checkout import Checkout
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from mutated import mutated, read_many
from PIL import Image
from project import TINY, Project, photos, with_changes
from safetensors.torch import save_file
from whole import Whole

from distillery.core.columns import read_columns
from distillery.core.errors import UserError
from distillery.data import single
from distillery.data.settings import Reading
from distillery.models import registry
from distillery.planning import loading
from distillery.reporting.page import publish
from distillery.runs.artifact import open_input
from distillery.serving.exporting import export_run
from distillery.serving.served import of_file
from distillery.training import foreign

# Params files

SAMPLE = with_changes(
    TINY,
    {
        "datasets": {"other": {"source": "digits", "split": {"per_class": 4}}},
        "seeds": [0, 1],
        "!methods": {
            "kd": {"options": {"temperature": 4}, "training": {"lr": 0.1}},
            "crd": {"weights": {"kd": 1}, "options": {"negatives": 16}},
        },
        "protocols": {"transfer": {"options": {"data": "other"}}},
        "tuning": {"pair": "p", "methods": {"kd": {"vary": {"options": {"temperature": [2, 4]}}}}},
        "ablations": {
            "a": {"pair": "p", "method": "kd", "vary": {"options": {"temperature": [1, 2]}}}
        },
    },
)
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["", "kd", "../x", "a/b", "<script>", "1e999", "$(x)", "=1", "digits", "\0"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values within a value."""
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    return [path] * bool(path) + [
        found for key, one in inner for found in places(one, (*path, key))
    ]


@st.composite
def malformed(draw: st.DrawFn) -> bytes:
    """Draw a params file with values that are others, gone, or more than there should be."""
    content = deepcopy(SAMPLE)
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(places(content)))
        holder = content
        for key in path:
            holder = holder[key]
        match draw(st.sampled_from(["other", "gone", "more", "renamed"])):
            case "gone":
                del holder[last]
            case "more" if isinstance(holder, dict):
                holder[draw(st.text(max_size=8))] = draw(JUNK)
            case "renamed" if isinstance(holder, dict):
                holder[draw(st.text(max_size=8))] = holder.pop(last)
            case _:
                holder[last] = draw(JUNK)
        if not content:
            break
    # Everything that is JSON is YAML, too.
    return json.dumps(content, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")


@pytest.mark.slow
def test_malformed_params_cost_one_line(campaign: Campaigns, tmp_path: Path) -> None:
    file = Project(tmp_path).params(SAMPLE)
    text = file.read_bytes()

    with campaign("Malformed params files") as tally:

        def plan(kind: str, content: bytes) -> None:
            file.write_bytes(content)
            try:
                loading.load(file, tmp_path / "data")
            except UserError as error:
                said = one_line(error)
                tally.count(kind, "refused in one line")
            else:
                said = str(file)
                tally.count(kind, "planned: still a valid experiment")
            assert str(file) in said

        def settings_of(count: int) -> settings:
            return settings(
                max_examples=count,
                database=None,
                # What fails is small enough, and smaller ones take their time.
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )

        @seed(0)
        @settings_of(tally.of(800))
        @given(content=malformed())
        def values(content: bytes) -> None:
            plan("values", content)

        @seed(0)
        @settings_of(tally.of(200))
        @given(content=mutated([text]))
        def bytes_(content: bytes) -> None:
            plan("bytes", content)

        values()
        bytes_()


# Files of others


def read_table(file: Path) -> None:
    read_columns(file, ["label", "logits", "embedding"])


def read_image(file: Path) -> None:
    single.read_image(file, (8, 8, 3), Reading(source="image-folder", image_size=8))


def read_and_use(file: Path) -> None:
    of_file(file)([np.zeros((8, 8, 3), np.uint8)])


def read_weights(file: Path) -> None:
    network = registry.build("resnet8", num_classes=2, in_channels=3)
    foreign.load_into(network, foreign.read(file), file)


def samples(whole: Whole, folder: Path) -> dict[str, tuple[Any, list[Path], int]]:
    """Write files of each kind; return the kind -> its reader, files, how many to mutate."""
    folder.mkdir()
    student = whole.run("train-student", "-kd-")
    data = whole.folder / "data"
    trained = open_input(data, student.location)
    pixels = np.random.default_rng(0).integers(0, 255, (12, 12, 3), np.uint8)
    images = [folder / f"image.{kind}" for kind in ("png", "jpg", "gif", "bmp", "tiff", "webp")]
    for image in images:
        Image.fromarray(pixels).save(image)
    network = registry.build("resnet8", num_classes=2, in_channels=3)
    some = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(some, folder / "weights.safetensors")
    torch.save({"model": some}, folder / "weights.pth")
    table = pq.read_table(trained.file("test.parquet"))
    pq.write_table(table, folder / "plain.parquet", compression="none")
    exported = export_run(trained, open_input(data, student.inputs["prepared"]), folder, ["onnx"])
    return {
        "images": (read_image, images, 600),
        "Parquet": (read_table, [folder / "plain.parquet", trained.file("test.parquet")], 300),
        "safetensors": (read_weights, [folder / "weights.safetensors"], 300),
        "checkpoints of torch": (read_weights, [folder / "weights.pth"], 200),
        "ONNX": (read_and_use, exported, 300),
    }


@pytest.mark.slow
def test_mutated_files_are_read_or_refused(
    whole: Whole, campaign: Campaigns, tmp_path: Path
) -> None:
    with campaign("Mutated real files") as tally:
        for kind, (read, files, full) in samples(whole, tmp_path / "samples").items():
            found = read_many(read, files, tally.of(full), tmp_path / kind)
            for outcome, count in found.items():
                for _ in range(count):
                    tally.count(kind, outcome)


# Names

NAMES = (
    "<script>alert(1)<script>",
    'it\'s "quoted"',
    "two\nlines",
    "-leading",
    "\u202eesrever",
    "שלום עולם",
    '=HYPERLINK("http:example.org")',
    "$(touch PWNED)`touch PWNED`",
    "a\\b_c%d&e#f{g}~h^i$j$",
    "long" * 60,
    "tab\there; rm *",
    "ünï코드",
)
CLASSES = {
    "!data": {"source": "image-folder", "path": "names", "augmentation": {"pad": 1}},
    "title": "<script>alert(2)</script>",
    "training": {"epochs": 1},
    "!methods": {
        "ce": {"title": "<script>alert(3)</script>"},
        "kd": {"title": '=HYPERLINK("http://example.org")'},
    },
    "protocols": {"inter-class": {}},
    "report": {"folder": "reports", "timings": False, "baseline": "ce"},
}


def cells(file: Path) -> list[str]:
    with file.open(newline="", encoding="utf-8") as lines:
        return [cell for line in csv.reader(lines) for cell in line]


@pytest.mark.slow
def test_class_folders_and_titles_of_any_name(campaign: Campaigns, tmp_path: Path) -> None:
    """Through preparation, training, evaluation, tables, figures, page and the thesis."""
    project = Project(tmp_path)
    photos(project.raw / "names", train=4, test=2, classes=NAMES, size=(8, 8))
    with campaign("Hostile names of classes and titles") as tally, chdir(tmp_path):
        planned = loading.load(project.params(CLASSES), Path("data"))
        project.make_all(planned)
        publish.publish(planned.report, planned.report_key, planned.collected, Path("data"))
        written = [path for path in Path("reports").rglob("*") if path.is_file()]
        for path in written:
            if path.suffix in (".html", ".svg"):
                text = path.read_text(encoding="utf-8")
                assert not re.search(r"<script>alert", text), path
            if path.suffix == ".csv":
                assert not [cell for cell in cells(path) if cell.startswith(("=", "@"))], path
            if path.suffix == ".tex":
                text = path.read_text(encoding="utf-8")
                assert "<script>" not in text
                assert "=HYPERLINK" not in text or "\\" in text
        (prepared,) = planned.stage("prepare")
        info = open_input(Path("data"), prepared.location).json("info.json")
        assert sorted(info["classes"]) == sorted(NAMES)
        assert not list(tmp_path.rglob("PWNED"))
        for name in (*NAMES, "title", "method", "formula"):
            tally.count("names" if name in NAMES else "titles", "shown as text")


@pytest.mark.slow
def test_class_folders_of_any_name_through_snakemake(campaign: Campaigns, tmp_path: Path) -> None:
    with campaign("Hostile names of classes through Snakemake") as tally:
        if tally.of(100) < 20:
            pytest.skip("a start of Snakemake takes as long as all else of this file")
        checkout = Checkout(tmp_path / "checkout")
        raw = checkout.folder / "data" / "raw" / "names"
        photos(raw, train=4, test=2, classes=NAMES, size=(8, 8))
        checkout.write_params({**CLASSES, "protocols": {}}, "names")
        checkout.snakemake("--configfile", "params/names.yaml", "--", "prepared")
        assert list((checkout.folder / "data" / "prepared").iterdir())
        assert not list(tmp_path.rglob("PWNED"))
        for _ in NAMES:
            tally.count("names", "prepared")
