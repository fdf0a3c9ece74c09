import hashlib
import http.server
import io
import pickle
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from data_samples import attack, cifar_files, pixels, python2_pickle, write_files, write_tar
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.core.errors import UserError
from distillery.data.prepared import DataSetInfo, load
from distillery.data.sources import cifar
from distillery.runs.artifact import Artifact


def planes(*seeds: int) -> torch.Tensor:
    """Return the images of `cifar_files` as (N, 32, 32, 3)."""
    rows = np.concatenate([pixels(seed, 4, 3072) for seed in seeds])
    return torch.from_numpy(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy())


@pytest.mark.parametrize(
    ("source", "classes", "train", "test"),
    [
        ("cifar10", ("airplane", "automobile"), (1, 2, 3, 4, 5), (6,)),
        ("cifar100", ("apple", "bear"), (1,), (2,)),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_official_files(
    prepared: Callable[..., Artifact],
    data_root: Path,
    source: str,
    classes: tuple[str, ...],
    train: tuple[int, ...],
    test: tuple[int, ...],
    packed: bool,
) -> None:
    raw, files = data_root / "raw", cifar_files(source)
    if packed:
        write_tar(raw / f"{source.replace('cifar', 'cifar-')}-python.tar.gz", files)
    else:
        write_files(raw, files)
    artifact = prepared(source=source)
    info = DataSetInfo.load(artifact)
    assert info.classes == classes
    assert info.shape == (32, 32, 3)
    for part, seeds in (("train", train), ("test", test)):
        found = load(artifact, part)
        assert torch.equal(found.images, planes(*seeds))
        assert found.labels.tolist() == [0, 1] * (2 * len(seeds))


def test_order_and_pixels_are_those_of_torchvision(
    prepared: Callable[..., Artifact], data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(data_root / "raw", cifar_files())
    dataset = torchvision.datasets.CIFAR10
    # Its checksums are those of the full set.
    for check in ("_check_integrity", "_load_meta"):
        monkeypatch.setattr(dataset, check, lambda self: True)
    expected, found = dataset(str(data_root / "raw")), load(prepared(source="cifar10"), "train")
    assert np.array_equal(found.images.numpy(), expected.data)
    assert found.labels.tolist() == expected.targets


def test_batches_written_again_by_python_3(
    prepared: Callable[..., Artifact], data_root: Path
) -> None:
    files = {
        name: pickle.dumps(pickle.loads(content, encoding="bytes"), protocol=2)
        for name, content in cifar_files().items()
        if not name.endswith("html")
    }
    write_files(data_root / "raw", files)
    assert torch.equal(load(prepared(source="cifar10"), "test").images, planes(6))


@pytest.mark.parametrize("name", ["batches.meta", "data_batch_3", "test_batch"])
def test_a_malicious_pickle_is_refused_and_runs_nothing(
    prepared: Callable[..., Artifact], data_root: Path, tmp_path: Path, name: str
) -> None:
    marker, files = tmp_path / "executed", cifar_files()
    files[f"cifar-10-batches-py/{name}"] = attack(marker)
    archive = write_tar(data_root / "raw" / "cifar-10-python.tar.gz", files)
    with pytest.raises(UserError) as caught:
        prepared(source="cifar10")
    message = f"{archive}:cifar-10-batches-py/{name}: not a CIFAR batch (it asks for posix.system)"
    assert str(caught.value) == message
    assert not marker.exists()
    pickle.loads(attack(marker))
    assert marker.exists(), "the attack of this test does nothing"


@pytest.mark.parametrize(
    "asked",
    [
        b"cbuiltins\neval\n",
        b"cbuiltins\ngetattr\n",
        b"cnumpy\nload\n",
        b"cnumpy.core.multiarray\nfromfile\n",
        b"c__main__\nx\n",
        b"ccodecs\nencode\n",
        b"\x8c\x08builtins\x8c\x04exec\x93",
    ],
)
def test_no_name_but_those_of_arrays(asked: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError, match="it asks for"):
        cifar._Unpickler(io.BytesIO(b"\x80\x04" + asked + b".")).load()


def test_extension_registry_and_persistent_ids_are_closed() -> None:
    for content in (b"\x80\x02\x82\x01.", b"Pname\n."):
        with pytest.raises((ValueError, pickle.UnpicklingError)):
            cifar._Unpickler(io.BytesIO(content)).load()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 3072), dtype=np.float32),
        np.zeros((4, 3072), dtype=object),
        np.asfortranarray(pixels(0, 4, 3072)),
        pixels(0, 4, 3071),
        pixels(0, 3, 3072),
        pixels(0, 3072),
        "no array",
    ],
    ids=["float", "object", "column-major", "short rows", "few rows", "flat", "text"],
)
def test_pixels_of_another_form(
    prepared: Callable[..., Artifact], data_root: Path, array: object
) -> None:
    files = cifar_files()
    content = {b"labels": [0, 1, 0, 1], b"data": array}
    files["cifar-10-batches-py/data_batch_2"] = pickle.dumps(content, protocol=2)
    write_files(data_root / "raw", files)
    with pytest.raises(UserError, match="cifar-10-batches-py/data_batch_2: not a CIFAR batch"):
        prepared(source="cifar10")


@pytest.mark.parametrize("labels", [[0, 1, 0, 2], [0, -1, 0, 1], [0, 1], "0101", None])
def test_labels_of_another_form(
    prepared: Callable[..., Artifact], data_root: Path, labels: object
) -> None:
    files = cifar_files("cifar100")
    content = {b"fine_labels": labels, b"data": pixels(0, 4, 3072)}
    files["cifar-100-python/test"] = pickle.dumps(content, protocol=2)
    write_files(data_root / "raw", files)
    with pytest.raises(UserError, match=r"cifar-100-python/test: not a CIFAR batch"):
        prepared(source="cifar100")


def test_forged_size_of_an_array() -> None:
    content = python2_pickle({b"data": pixels(0, 4, 3072)})
    forged = content.replace(b"J" + (3072).to_bytes(4, "little"), b"J" + b"\xff\xff\xff\x7f")
    assert forged != content
    with pytest.raises(pickle.UnpicklingError, match="another size than it says"):
        cifar._Unpickler(io.BytesIO(forged), encoding="bytes").load()


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_damage_to_a_batch_raises_anything_but_a_user_error(data: st.DataObject) -> None:
    content = bytearray(python2_pickle({b"labels": [0, 1], b"data": pixels(0, 2, 12)}))
    for _ in range(data.draw(st.integers(1, 3))):
        # Not into the argument of an opcode that sets aside memory.
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(
            st.integers(0, 255).filter(lambda byte: byte not in b"jr")
        )

    class OneFile:
        def read(self, name: str) -> bytes:
            return bytes(content)

        def show(self, name: str) -> str:
            return name

    try:
        found = cifar._load(OneFile(), "batch")  # type: ignore[arg-type]
    except UserError as error:
        message = str(error)
    else:
        assert isinstance(found, dict)
        return
    assert message.startswith("batch: not a CIFAR batch")


@pytest.mark.parametrize("missing", ["test_batch", "data_batch_5", "batches.meta"])
def test_missing_file(prepared: Callable[..., Artifact], data_root: Path, missing: str) -> None:
    files = cifar_files()
    del files[f"cifar-10-batches-py/{missing}"]
    write_files(data_root / "raw", files)
    with pytest.raises(UserError, match=f"cifar-10-batches-py/{missing}: no such file"):
        prepared(source="cifar10")


def test_without_network_the_message_says_what_to_put_where(
    prepared: Callable[..., Artifact], data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", unreachable)
    with pytest.raises(UserError) as caught:
        prepared(source="cifar100")
    assert str(caught.value) == (
        "cifar-100-python.tar.gz cannot be downloaded (no route to host); put the file, or the "
        f"folder cifar-100-python that it unpacks to, into {data_root / 'raw'}"
    )
    assert list((data_root / "raw").iterdir()) == []


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let torchvision's downloader fetch a small CIFAR-10 from a server of this test."""
    folder = tmp_path / "published"
    folder.mkdir()
    archive = write_tar(folder / "cifar-10-python.tar.gz", cifar_files())
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    monkeypatch.setattr(handler.func, "log_message", lambda *_: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        dataset = torchvision.datasets.CIFAR10
        address = f"http://127.0.0.1:{server.server_port}/{archive.name}"
        monkeypatch.setattr(dataset, "url", address)
        digest = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
        monkeypatch.setattr(dataset, "tgz_md5", digest)
        yield archive
        server.shutdown()


def test_download(prepared: Callable[..., Artifact], data_root: Path, published: Path) -> None:
    artifact = prepared(source="cifar10")
    assert torch.equal(load(artifact, "test").images, planes(6))
    kept = data_root / "raw" / published.name
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    assert kept.read_bytes() == published.read_bytes()


def test_a_download_with_a_wrong_checksum_is_not_kept(
    prepared: Callable[..., Artifact],
    data_root: Path,
    published: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "tgz_md5", "0" * 32)
    with pytest.raises(UserError, match=r"cifar-10-python.tar.gz cannot be downloaded .*corrupted"):
        prepared(source="cifar10")
    assert list((data_root / "raw").iterdir()) == []


def test_a_given_path_is_never_downloaded(prepared: Callable[..., Artifact]) -> None:
    with pytest.raises(UserError, match=r"mine.tar.gz: not found in .*raw"):
        prepared(source="cifar10", path="mine.tar.gz")
