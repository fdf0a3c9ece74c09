"""A pair and a method that results have only in an ablation or in a study."""

import json

from made_up_results import Study

PAIR, METHOD, TITLE = "alone", "crd-alone", "CRD alone"
NETWORKS = "resnet110 → resnet32"


def with_varied_alone(study: Study, table: str) -> Study:
    """Add such a pair and method to the rows of an ablation or a study, as copies of others."""
    study.report["pairs"][PAIR] = {
        "teacher": "t0",
        "teacher_arch": "resnet110",
        "student_arch": "resnet32",
    }
    for row in [row for row in study.rows if row["table"] == table and row["pair"] == "p0"]:
        named = {"pair": PAIR, "method": METHOD}
        variant = json.loads(row["variant"])
        variant |= {axis: named[axis] for axis in named if axis in variant}
        study.rows.append(
            {
                **row,
                **named,
                "title": TITLE,
                "variant": json.dumps(variant, sort_keys=True),
                "run": f"{row['run']}-alone",
                "key": f"{len(study.rows):016x}",
            }
        )
    return study
