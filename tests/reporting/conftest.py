from collections.abc import Callable

import pytest
from made_up_results import Study, make_study


@pytest.fixture
def study() -> Study:
    return make_study()


@pytest.fixture
def make() -> Callable[..., Study]:
    return make_study
