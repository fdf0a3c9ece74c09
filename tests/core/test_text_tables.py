"""Tables as text."""

from distillery.core.text_tables import text_table


def test_numbers_are_set_to_the_right_also_with_units() -> None:
    lines = text_table(("stage", "runs", "time"), [("teachers", 2, "9 min"), ("all", 120, "-")])
    assert lines == ["stage     runs   time", "teachers     2  9 min", "all        120      -"]


def test_nothing_is_wrapped_but_beyond_a_width() -> None:
    rows = [("a" * 90, "b" * 90)]
    assert len(text_table(("one", "two"), rows)) == 2
    assert all(len(line) <= 60 for line in text_table(("one", "two"), rows, width=60))


def test_a_table_needs_no_head_and_what_it_shows_is_no_markup() -> None:
    assert text_table((), [("[bold]x[/]", "[0.1, 2]")]) == ["[bold]x[/]  [0.1, 2]"]


def test_a_title_stands_above() -> None:
    assert text_table(("a",), [("x",)], title="Of runs")[0] == "Of runs"
