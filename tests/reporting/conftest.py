from collections.abc import Callable, Iterator

import pytest
from made_up_results import Study, make_study

from distillery.reporting.figures.style import theme


@pytest.fixture
def study() -> Study:
    return make_study()


@pytest.fixture
def make() -> Callable[..., Study]:
    return make_study


@pytest.fixture
def in_theme() -> Iterator[None]:
    """Draw as a report does."""
    with theme():
        yield
