import math

import pandas as pd
import pytest

from distillery.reporting.statistics.rounding import significant, significant_frame


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (97.22222222222223, 97.22222222),
        (-0.000123456789012, -0.000123456789),
        (123456789012.0, 123456789000.0),
        (360.0, 360.0),
        (0.0, 0.0),
    ],
)
def test_ten_digits_are_left(value: float, written: float) -> None:
    assert significant(pd.Series([value])).tolist() == [written]


def test_what_is_no_number_stays() -> None:
    found = significant(pd.Series([math.nan, math.inf])).tolist()
    assert math.isnan(found[0])
    assert found[1] == math.inf


def test_differences_have_the_decimals_of_what_they_are_differences_of() -> None:
    differences = pd.Series([0.123456789012, 1.4e-14, -1.4e-14])
    found = significant(differences, pd.Series([97.2, 97.2, 97.2])).tolist()
    assert found == [0.12345679, 0.0, 0.0]
    assert math.copysign(1, found[2]) == 1


def test_only_numbers_of_a_table_are_rounded() -> None:
    table = pd.DataFrame({"a/b": [1 / 3], "n": [3], "name": ["x"], "lists": [[1 / 3]]})
    found = significant_frame(table)
    assert found.columns.tolist() == table.columns.tolist()
    assert found.iloc[0].tolist() == [0.3333333333, 3, "x", [1 / 3]]
