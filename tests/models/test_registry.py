"""The registry finds families by their files, without importing torch, and says what it lacks."""

from __future__ import annotations

import subprocess
import sys

import pytest
from network_probes import REPDISTILLER

from distillery import models
from distillery.core.declarations import declared
from distillery.core.errors import UserError
from distillery.models import registry
from distillery.runs.fingerprint import closure


@pytest.fixture
def extra_folder(tmp_path, monkeypatch):
    """A second folder of families, searched beside the package's own."""
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    declared.cache_clear()
    yield tmp_path
    declared.cache_clear()
    sys.modules.pop("distillery.models.tiny", None)


def test_has_every_architecture_of_repdistiller() -> None:
    assert set(REPDISTILLER) <= set(registry.names())


@pytest.mark.parametrize("lookup", [registry.module_of, lambda n: registry.build(n, num_classes=2)])
def test_unknown_name_is_a_user_error(lookup) -> None:
    with pytest.raises(UserError, match=r"unknown model 'resnet21'; did you mean 'resnet\d+'\?"):
        lookup("resnet21")


def test_names_need_no_torch() -> None:
    code = "; ".join(
        [
            "import sys",
            "from distillery.models import registry",
            "registry.names(), registry.module_of('vgg8')",
            "sys.exit('torch' in sys.modules)",
        ]
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_fingerprint_of_one_family_leaves_out_the_others() -> None:
    families = {registry.module_of(arch) for arch in registry.names()}
    assert len(families) > 1
    for family in families:
        assert closure([family]) & families == {family}


def test_a_new_file_is_a_new_family(extra_folder) -> None:
    (extra_folder / "tiny.py").write_text(
        "from typing import Any\n"
        "ARCHITECTURES: dict[str, Any] = {'tiny1': 1, 'tiny2': 2}\n"
        "def build(arch, *, num_classes, in_channels):\n"
        "    return arch, num_classes, in_channels\n"
    )
    assert {"tiny1", "tiny2", "resnet8"} <= set(registry.names())
    assert registry.module_of("tiny2") == "distillery.models.tiny"
    assert registry.build("tiny2", num_classes=4) == ("tiny2", 4, 3)
