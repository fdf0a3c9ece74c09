import subprocess
import sys
from collections.abc import Callable

import pytest
from made_up_results import Study

from distillery.reporting import files


def test_the_page_comes_last_and_nothing_twice(study: Study) -> None:
    expected = files.expected(study.settings)
    assert expected[-1] == "index.html"
    assert len(set(expected)) == len(expected)
    assert "tables/ablation-temperature.tex" in expected
    assert "figures/ablation-temperature.pdf" in expected


def test_cost_is_there_only_with_timings(make: Callable[..., Study]) -> None:
    assert not any("cost" in name for name in files.expected(make(timings=False).settings))
    assert "tables/cost.csv" in files.expected(make(timings=True).settings)


def test_it_can_be_asked_without_heavy_imports() -> None:
    code = (
        "import sys, distillery.reporting.files;"
        "print({'pandas', 'matplotlib', 'torch', 'numpy'} & sys.modules.keys())"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "name", ["tables/ablation-old.csv", "tables/cost.md", "figures/accuracy.svg", "tables/runs.csv"]
)
def test_files_of_other_reports_are_disposable(name: str) -> None:
    assert files.is_disposable(name)


@pytest.mark.parametrize(
    "name", ["index.html", "tables/notes.md", "figures/mine.svg", "tables/main.xlsx", "main.csv"]
)
def test_files_of_the_user_are_not(name: str) -> None:
    assert not files.is_disposable(name)
