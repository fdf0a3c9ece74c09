import math

import pytest

from distillery.reporting import formatting


def test_numbers_have_a_true_minus_and_gaps_are_dashes() -> None:
    assert formatting.number(-1.234) == "−1.23"
    assert formatting.number(1.0, sign=True) == "+1.00"
    assert formatting.number(math.nan) == "–"


def test_a_deviation_is_shown_only_where_there_is_one() -> None:
    assert formatting.spread(70.126, 0.254) == "70.13 ± 0.25"
    assert formatting.spread(70.126, math.nan) == "70.13"
    assert formatting.spread(math.nan, math.nan) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.25, "3.2 s"), (150, "2.5 min"), (9000, "2.5 h"), (math.nan, "–")]
)
def test_durations_have_a_natural_unit(seconds: float, text: str) -> None:
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.07, "0.07"), (1e-5, "1e-05"), (True, "true"), (None, "null"), ("hard", "hard")],
)
def test_settings_are_written_as_in_a_params_file(value: object, text: str) -> None:
    assert formatting.setting(value) == text


def test_lists_are_settings_too() -> None:
    assert formatting.setting(["stage1", 0.5]) == "[stage1, 0.5]"


def test_shared_labels_get_their_ids() -> None:
    labels = formatting.distinct({"a": "CRD", "b": "CRD", "c": "KD"})
    assert labels == {"a": "CRD (a)", "b": "CRD (b)", "c": "KD"}


def test_names_of_options_are_short_while_they_are_distinct() -> None:
    assert formatting.short_names(["options.t", "weights.kd"]) == {
        "options.t": "t",
        "weights.kd": "weights.kd",
    }
    assert formatting.short_names(["options.t", "t"]) == {"options.t": "options.t", "t": "t"}


def test_digits_follow_the_size_of_the_numbers() -> None:
    assert formatting.digits_for([71.2, math.nan]) == 2
    assert formatting.digits_for([0.031]) == 4
    assert formatting.digits_for([]) == 4


@pytest.mark.parametrize(
    ("caption", "written"),
    [
        (
            "Accuracy: mean and standard deviation over seeds, and runs.",
            "Accuracy: one seed, and runs.",
        ),
        ("It is so. Mean ± standard deviation over seeds.", "It is so. One seed."),
        ("Steps, all as means over seeds.", "Steps, all of one seed."),
        ("Steps of the students.", "Steps of the students."),
    ],
)
def test_captions_can_be_of_one_seed(caption: str, written: str) -> None:
    assert formatting.of_one_seed(caption) == written


def test_intervals_and_p_values() -> None:
    assert formatting.interval(-0.204, 1.5, sign=True) == "−0.20 … +1.50"
    assert formatting.interval(math.nan, math.nan) == "–"
    assert [formatting.p_value(p) for p in (0.0004, 0.0126, math.nan)] == ["< 0.001", "0.013", "–"]
