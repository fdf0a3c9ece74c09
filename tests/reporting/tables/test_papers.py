from __future__ import annotations

from pathlib import Path

from made_up_results import Study
from published import read

from distillery.reporting import files
from distillery.reporting.page import build
from distillery.reporting.tables.writing import FORMATS

TABLE = {
    "name": "crd-1",
    "title": "Table 1 of CRD.",
    "source": "Published: somewhere.",
    "columns": [["resnet56", "resnet20"], ["resnet57", "resnet21"]],
    "rows": [
        {
            "title": "Teacher",
            "cells": [
                {"published": 72.34, "table": "teachers", "pair": "p0"},
                {"published": 74.31},
            ],
        },
        {
            "title": "KD",
            "cells": [
                {"published": 70.66, "table": "main", "pair": "p0", "method": "kd"},
                {
                    "published": 73.08,
                    "table": "main",
                    "pair": "p1",
                    "method": "kd",
                    "differs": "60 epochs, not 240",
                },
            ],
        },
        {"title": "FSP", "cells": [{}, {"published": 71.89}]},
        {"title": "CRD", "cells": [{"table": "main", "pair": "p0", "method": "crd"}, {}]},
    ],
}


def test_ours_stands_beside_what_was_published_only_where_they_agree(
    study: Study, tmp_path: Path
) -> None:
    study.report["published"]["tables"] = [TABLE]
    name = files.paper("crd-1")
    table = build.all_tables(read(study, tmp_path))[name]
    texts = [[cell.text for cell in row] for row in table.rows]
    mean = table.data.loc[2, "mean"]
    assert texts[0][2] == "– (74.31)"
    assert texts[1][1].startswith(f"{mean:.2f} ± ")
    assert texts[1][1].endswith(" (70.66)")
    assert texts[1][2] == "a (73.08)"
    assert texts[2] == ["FSP", "–", "– (71.89)"]
    assert "a: 60 epochs, not 240." in table.notes
    assert "Published: somewhere." in table.notes
    assert len(table.rows[1][1].runs) == 3
    alone = table.rows[3][1]
    assert alone.text.startswith(f"{table.data.loc[6, 'mean']:.2f} ± ")
    assert len(alone.runs) == 3
    for suffix in files.TABLE_FORMATS:
        assert "70.66" in FORMATS[suffix](table)
        assert files.table_file(name, suffix) in files.expected(study.settings)
        assert files.is_disposable(files.table_file(name, suffix))
