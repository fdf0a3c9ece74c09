"""What is imported once for all runs of a batch."""

from __future__ import annotations

import subprocess
import sys

from project import Project

from distillery.runs.fingerprint import imported_when_called
from distillery.runs.preloading import modules_for


def test_libraries_that_functions_import_are_found() -> None:
    found = imported_when_called("distillery.evaluation.representation")
    assert {"sklearn.neighbors", "sklearn.preprocessing"} <= found
    # What the module imports itself comes with it.
    assert not {name for name in found if name.startswith(("distillery", "numpy"))}


def test_students_preload_their_methods_and_evaluations_no_network(project: Project) -> None:
    planned = project.plan({"!methods": {"ce": {}, "kd": {}}})
    for_students = modules_for(planned.stage("train-student"))
    assert {"distillery.training.student", "distillery.methods.kd"} <= {*for_students}
    assert "distillery.models.resnet" in for_students
    assert "torch.distributed.tensor" in for_students
    assert "torch._dynamo" not in for_students
    compiled = project.plan({"compute": {"compile": True}})
    assert "torch._dynamo" in modules_for(compiled.stage("train-student"))
    for_evaluations = modules_for(planned.stage("evaluate"))
    assert "distillery.evaluation.classification" in for_evaluations
    imports = "\n".join(f"import {name}" for name in for_evaluations)
    code = f"import sys\n{imports}\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
