import hashlib
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_results import Study, make_study

from distillery.core.errors import DamagedArtifact
from distillery.reporting import files
from distillery.reporting.page import build
from distillery.reporting.results.collected import Results
from distillery.reporting.sections import registry
from distillery.reporting.sections.base import MetricsSection
from distillery.reporting.tables import standard, writing
from distillery.runs.artifact import Artifact

KEY = "fedcba9876543210"
BUILD = """
import json, sys
from pathlib import Path
from distillery.runs.artifact import Artifact
from distillery.reporting.page import build
from distillery.reporting.settings import ReportSettings
settings, collected, folder = sys.argv[1:]
report = ReportSettings.model_validate_json(settings)
build.build(report, "fedcba9876543210", Artifact(Path(collected)), Path(folder))
"""


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Artifact, Path]:
    """Return a study, its collected results and the folder of its report."""
    study, folder = make_study(), tmp_path_factory.mktemp("built")
    collected = study.publish(folder / "data")
    build.build(study.settings, KEY, collected, folder / "reports")
    return study, collected, folder / "reports"


def test_exactly_the_expected_files_are_written(built: tuple[Study, Artifact, Path]) -> None:
    study, _, folder = built
    assert sorted(contents(folder)) == sorted(files.expected(study.settings))
    assert sorted(path.name for path in folder.parent.iterdir()) == ["data", "reports"]


def test_the_same_results_give_the_same_bytes(
    built: tuple[Study, Artifact, Path], tmp_path: Path
) -> None:
    study, collected, folder = built
    build.build(study.settings, KEY, collected, tmp_path / "again")
    assert contents(folder) == contents(tmp_path / "again")
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nsvg.fonttype: path\n")
    surroundings = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "TZ": "Asia/Tokyo",
        "MATPLOTLIBRC": str(tmp_path),
        "SOURCE_DATE_EPOCH": "1",
    }
    arguments = [json.dumps(study.report), collected.path.resolve(), tmp_path / "elsewhere"]
    subprocess.run(
        [sys.executable, "-c", BUILD, *arguments], check=True, env=surroundings, cwd=tmp_path
    )
    assert contents(folder) == contents(tmp_path / "elsewhere")


def with_noise(study: Study) -> Study:
    """Return the study as another machine may have it: all numbers differ in the 13th digit."""
    random = np.random.default_rng(0)

    def noisy(values: Any) -> Any:
        return values * (1 + 1e-13 * random.uniform(-1, 1, np.shape(values)))

    rows = [
        {
            name: float(noisy(value)) if isinstance(value, float) else value
            for name, value in row.items()
        }
        for row in study.rows
    ]
    curves = [curve.assign(test_top1=noisy(curve["test_top1"])) for curve in study.curves]
    return Study(study.report, rows, curves)


def with_sections(study: Study) -> Study:
    """Add sections of protocols with made-up metrics."""
    random = np.random.default_rng(1)
    for name in registry.names():
        section = registry.load(name)
        if isinstance(section, MetricsSection):
            study.report["sections"][name] = {
                "module": name,
                "title": section.title,
                "tables": section.table_suffixes,
                "figures": section.figure_suffixes,
                "axes": [],
            }
            for row in study.rows:
                row |= {f"{name}/{metric}": float(random.random()) for metric in section.metrics}
    return study


def test_the_last_digits_of_the_results_change_no_byte(
    make: Callable[..., Study], tmp_path: Path
) -> None:
    study = with_sections(make())
    written = []
    for number, each in enumerate((study, with_noise(study))):
        collected = each.publish(tmp_path / f"data-{number}")
        build.build(each.settings, KEY, collected, tmp_path / f"reports-{number}")
        written.append(contents(tmp_path / f"reports-{number}"))
    assert with_noise(study).runs["test_top1"].ne(study.runs["test_top1"]).all()
    assert [name for name in written[0] if written[0][name] != written[1][name]] == []


def test_numbers_of_tables_have_ten_digits(make: Callable[..., Study], tmp_path: Path) -> None:
    study = with_sections(make(timings=True))
    results = Results.read(study.settings, study.publish(tmp_path))
    for table in (*build.all_tables(results).values(), standard.runs(results)):
        numbers = re.findall(r"(?<=,)-?\d+\.\d+(?=[,\n])", writing.to_csv(table))
        long = [text for text in numbers if len(re.sub(r"^-?0\.0*|\D", "", text)) > 10]
        assert numbers or not table.data.select_dtypes("float").size
        assert long == [], table.name


def test_nothing_tells_where_or_when_it_was_built(built: tuple[Study, Artifact, Path]) -> None:
    study, _, folder = built
    home = str(Path.home())
    private = [str(folder.parent), home, socket.gethostname(), "A Fast Device", "dc:date"]
    for name in files.expected(study.settings):
        content = (folder / name).read_bytes()
        assert b"CreationDate" not in content
        if not name.endswith((".pdf", ".png")):
            text = content.decode()
            assert not [word for word in private if re.search(rf"\b{re.escape(word)}\b", text)]


def test_the_page_names_its_report_and_results(built: tuple[Study, Artifact, Path]) -> None:
    _, collected, folder = built
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert KEY in text
    assert collected.key in text


def test_metrics_are_the_main_table(built: tuple[Study, Artifact, Path]) -> None:
    study, _, folder = built
    metrics = json.loads((folder / "metrics.json").read_text())
    assert list(metrics) == ["p0", "p1"]
    assert list(metrics["p0"]) == ["teacher", "ce", "kd", "crd"]
    runs = study.runs.query("table == 'main' and pair == 'p1' and method == 'kd'")
    assert metrics["p1"]["kd"] == round(runs["test_top1"].mean(), 4)


def test_a_new_report_removes_what_the_old_one_left_and_nothing_else(
    make: Callable[..., Study], tmp_path: Path
) -> None:
    folder = tmp_path / "reports"
    old = make(seeds=1, timings=True, ablations={"old": {"options.t": [1, 2]}})
    build.build(old.settings, KEY, old.publish(tmp_path / "old"), folder)
    mine = ["notes.md", "tables/notes.md", "figures/sketch.svg", "other/tables/ablation-old.csv"]
    for name in mine:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text("mine")
    new = make(seeds=1)
    build.build(new.settings, KEY, new.publish(tmp_path / "new"), folder)
    assert sorted(contents(folder)) == sorted([*files.expected(new.settings), *mine])


def test_a_failure_leaves_the_old_report_alone(
    make: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make(seeds=1, pairs=1)
    collected = study.publish(tmp_path / "data")
    build.build(study.settings, KEY, collected, tmp_path / "reports")
    before = contents(tmp_path / "reports")

    def fail(*_: object, **__: object) -> str:
        raise OSError("no space left on device")

    monkeypatch.setattr(build.html, "render", fail)
    changed = study.settings.model_copy(update={"title": "New"})
    with pytest.raises(OSError, match="no space left"):
        build.build(changed, KEY, collected, tmp_path / "reports")
    assert contents(tmp_path / "reports") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "reports"]


def test_damaged_results_are_refused(study: Study, tmp_path: Path) -> None:
    collected = study.publish(tmp_path / "data")
    with (collected.path / "runs.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DamagedArtifact):
        build.build(study.settings, KEY, collected, tmp_path / "reports")
    assert not (tmp_path / "reports").exists()


def test_imported_teachers_have_no_curve_and_no_best_epoch(
    make: Callable[..., Study], tmp_path: Path
) -> None:
    study = make(seeds=1, pairs=1, protocols=False, ablations={})
    for name in ("best_test_top1", "best_epoch", "epochs", "loss", "images_per_second", "device"):
        study.rows[0][name] = None
    study.curves = study.curves[1:]
    build.build(study.settings, KEY, study.publish(tmp_path / "data"), tmp_path / "reports")
    teachers = (tmp_path / "reports/tables/teachers.md").read_text(encoding="utf-8")
    assert "| – | – | – | 1 |" in teachers


def test_captions_say_that_there_is_one_seed(make: Callable[..., Study], tmp_path: Path) -> None:
    study = make(seeds=1)
    build.build(study.settings, KEY, study.publish(tmp_path / "data"), tmp_path / "reports")
    text = (tmp_path / "reports/index.html").read_text(encoding="utf-8")
    assert "over seeds" not in text
    assert "last epoch: one seed, and single runs" in text
    assert not re.search(r"means? over \w* ?seeds|over seeds", text)


def test_claims_and_published_numbers_have_tables(study: Study, tmp_path: Path) -> None:
    study.report["claims"] = [{"better": "kd", "worse": "ce", "text": "KD is better"}]
    number = {"pair": "p0", "method": "kd", "top1": 70.66, "source": "A paper, table 1"}
    study.report["published"] = {"note": "Just one.", "numbers": [number]}
    build.build(study.settings, KEY, study.publish(tmp_path / "data"), tmp_path / "reports")
    page = (tmp_path / "reports/index.html").read_text(encoding="utf-8")
    assert "KD is better" in page
    assert "Just one." in page
    published = (tmp_path / "reports/tables/published.md").read_text(encoding="utf-8")
    runs = study.runs.query("table == 'main' and pair == 'p0' and method == 'kd'")["test_top1"]
    assert f"| {runs.mean():.2f} ± {runs.std():.2f} | 70.66 |" in published
    assert (tmp_path / "reports/tables/claims.tex").is_file()
