from __future__ import annotations

import pytest

from distillery.core.latex import code, escaped, prose


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("100 % of a_b & {c}", r"100 \% of a\_b \& \{c\}"),
        ("two\n  lines", "two lines"),
        ("1 ± 2 → 3", r"1 $\pm$ 2 $\rightarrow$ 3"),
        ("a\\b ~ ^", r"a\textbackslash{}b \textasciitilde{} \textasciicircum{}"),
    ],
)
def test_what_is_written_is_what_is_printed(text: str, printed: str) -> None:
    assert escaped(text) == printed


def test_code_can_be_broken_where_names_have_parts() -> None:
    assert code("curve.n_views") == (r"\texttt{curve.\allowbreak{}n\_\allowbreak{}views}")


def test_docstrings_keep_paragraphs_lists_formulas_and_code() -> None:
    docstring = "A loss of `p_t`, see\nbelow.\n\n    L = a_b\n    M\n\n* one\n  more\n* two"
    assert prose(docstring) == "\n\n".join(
        [
            r"A loss of \texttt{p\_\allowbreak{}t}, see below.",
            "\\begin{quote}\\raggedright\n"
            "\\texttt{L = a\\_\\allowbreak{}b}\\\\\n\\texttt{M}\n\\end{quote}",
            "\\begin{itemize}\n\\item one more\n\\item two\n\\end{itemize}",
        ]
    )
