"""Downloads, from a server on this machine: whole or not there at all; and the formats of the published sets."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from aecore import data
from aecore.config import DataConfig
from aecore.data import DataError, published
from aecore.data.download import Resource
from aecore.data.idx import read_idx

MNIST = DataConfig(name="mnist", validation=0)
RANDOM = np.random.default_rng(0)


class Server:
    """Serves `files`; of those in `cut`, only half arrives although the whole length was announced."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.asked: list[str] = []
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                served.asked.append(self.path)
                if name not in served.files or self.path.startswith("/gone"):
                    self.send_error(404, "Not Found")
                    return
                content = served.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if name in served.cut else content)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server()
    yield served
    served.http.shutdown()
    served.http.server_close()


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def relative(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


IMAGES = RANDOM.integers(0, 256, (7, 28, 28), dtype=np.uint8)
LABELS = np.arange(7, dtype=np.uint8)


@pytest.fixture
def mnist(server: Server, monkeypatch) -> Server:
    """A small MNIST at the first of torchvision's addresses."""
    from torchvision import datasets

    for name in published.IDX:
        array = (IMAGES if "images" in name else LABELS)[: 7 if "train" in name else 3]
        server.files[f"{name}.gz"] = gzip.compress(idx(array))
    resources = [(f"{name}.gz", md5(server.files[f"{name}.gz"])) for name in published.IDX]
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    monkeypatch.setattr(datasets.MNIST, "mirrors", [server.url])
    return server


def test_a_download_lands_in_torchvisions_layout_and_is_read(mnist, tmp_path):
    seen: list[tuple[int, int]] = []
    assert not data.is_present(MNIST, [tmp_path])
    data.ensure(MNIST, [tmp_path], lambda done, total: seen.append((done, total)))
    assert relative(tmp_path) == [f"MNIST/raw/{name}" for name in sorted(published.IDX)]
    train, test = (data.load(MNIST, split, [tmp_path]) for split in ("train", "test"))
    assert (train.images[:, 0] == IMAGES).all()
    assert test.labels.tolist() == [0, 1, 2]
    assert train.images.flags.writeable
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] == 11_594_722


def test_what_is_there_is_not_downloaded_again(mnist, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    data.ensure(MNIST, [first])
    asked = len(mnist.asked)
    data.ensure(MNIST, [first, second])
    assert len(mnist.asked) == asked
    assert not second.exists()


def test_the_second_mirror_is_tried_when_the_first_has_nothing(mnist, monkeypatch, tmp_path):
    from torchvision import datasets

    monkeypatch.setattr(datasets.MNIST, "mirrors", [mnist.url + "gone/", mnist.url])
    data.ensure(MNIST, [tmp_path])
    assert data.is_present(MNIST, [tmp_path])


def fails(roots: list[Path], *words: str) -> None:
    """The download fails with a sentence that says how to do it by hand, and leaves no file and no folder behind."""
    with pytest.raises(DataError) as error:
        data.ensure(MNIST, roots)
    for word in (*words, "MNIST", "by hand", str(roots[-1] / "MNIST/raw"), "train-images-idx3-ubyte", "AELAB_DATA"):
        assert word in str(error.value)
    assert list(roots[-1].iterdir()) == []
    assert not data.is_present(MNIST, roots)


def test_a_file_that_is_not_there_is_named_with_its_address(mnist, tmp_path):
    del mnist.files["t10k-labels-idx1-ubyte.gz"]
    fails([tmp_path], f"{mnist.url}t10k-labels-idx1-ubyte.gz", "404")


def test_a_connection_that_ends_midway_leaves_nothing(mnist, tmp_path):
    mnist.cut.add("t10k-images-idx3-ubyte.gz")
    fails([tmp_path], "the connection ended after", "t10k-images-idx3-ubyte.gz")


def test_a_wrong_checksum_leaves_nothing(mnist, tmp_path):
    mnist.files["train-images-idx3-ubyte.gz"] += b"!"
    fails([tmp_path], "checksum")


def test_a_server_that_does_not_answer_is_named(mnist, tmp_path):
    mnist.http.shutdown()
    mnist.http.server_close()
    fails([tmp_path], mnist.url, "refused")


def test_leftovers_of_a_killed_download_go_with_the_next(mnist, tmp_path):
    (tmp_path / ".MNIST.download-abc").mkdir()
    (tmp_path / ".MNIST.download-abc" / "0.part").write_bytes(b"half")
    data.ensure(MNIST, [tmp_path])
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]


def test_two_downloads_at_once_fetch_each_file_once(mnist, tmp_path):
    threads = [threading.Thread(target=data.ensure, args=(MNIST, [tmp_path])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mnist.asked) == 4
    assert data.is_present(MNIST, [tmp_path])


def test_a_disk_without_room_is_said_before_anything_is_fetched(mnist, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1_000_000})())
    with pytest.raises(DataError, match=r"needs 123 MB .* but only 1 MB are free"):
        data.ensure(MNIST, [tmp_path])
    assert mnist.asked == []


def test_loading_what_is_not_there_says_so(tmp_path):
    with pytest.raises(DataError, match=r"'stl10' is not in .*: download it first \(2640 MB\)"):
        data.load(DataConfig(name="stl10"), "train", [tmp_path])


def test_a_named_folder_that_is_none_is_said_where_a_data_set_is_missing(mnist, tmp_path):
    file = tmp_path / "file"
    file.touch()
    roots = [tmp_path / "nope", file, tmp_path / "data"]
    said = rf"The folder {roots[0]} \(--data-root or AELAB_DATA\) is not there\. .*{file} .* is no folder\.$"
    mnist.files.clear()
    with pytest.raises(DataError, match=said):
        data.ensure(MNIST, roots)
    with pytest.raises(DataError, match=said):
        data.load(DataConfig(name="stl10"), "train", roots)
    with pytest.raises(DataError, match=said):
        data.describe(DataConfig(name="folder", path="mine"), roots)


def test_packed_files_put_there_by_hand_are_read(mnist, tmp_path):
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    for name, content in mnist.files.items():
        (tmp_path / "MNIST/raw" / name).write_bytes(content)
    assert data.is_present(MNIST, [tmp_path])
    assert (data.load(MNIST, "train", [tmp_path]).images[:, 0] == IMAGES).all()


@pytest.mark.parametrize("content", [b"", b"PK\3\4", idx(IMAGES)[:-1], idx(IMAGES) + b"!", idx(IMAGES)[:6]])
def test_a_damaged_idx_file_is_named(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=r"x is damaged \(.*\): delete it"):
        read_idx(tmp_path / "x")


def test_emnist_letters_are_turned_upright_and_counted_from_zero(server, tmp_path, monkeypatch):
    from torchvision import datasets

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in (*published.LETTERS, "emnist-digits-train-images-idx3-ubyte"):
            array = IMAGES.transpose(0, 2, 1).copy() if "images" in name else LABELS + 1
            archive.writestr(f"gzip/{name}.gz", gzip.compress(idx(array)))
    server.files["gzip.zip"] = content.getvalue()
    monkeypatch.setattr(datasets.EMNIST, "url", server.url + "gzip.zip")
    monkeypatch.setattr(datasets.EMNIST, "md5", md5(content.getvalue()))
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1 << 40})())
    config = DataConfig(name="emnist-letters", validation=0)
    data.ensure(config, [tmp_path])
    assert relative(tmp_path) == [f"EMNIST/raw/{name}" for name in sorted(published.LETTERS)]
    split = data.load(config, "train", [tmp_path])
    assert (split.images[:, 0] == IMAGES).all()
    assert [split.class_names[label] for label in split.labels] == list("ABCDEFG")


def tar(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, inside in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(inside)
            archive.addfile(member, io.BytesIO(inside))
    return content.getvalue()


def test_cifar10_is_read_by_torchvision_and_a_damaged_file_is_said(server, tmp_path, monkeypatch):
    from torchvision import datasets

    pixels = RANDOM.integers(0, 256, (2, 3072), dtype=np.uint8)
    batch = pickle.dumps({"data": pixels, "labels": [3, 9]})
    files = dict.fromkeys(published.CIFAR10_BATCHES, batch)
    files["batches.meta"] = pickle.dumps({"label_names": list("abcdefghij")})
    packed = tar({f"cifar-10-batches-py/{name}": content for name, content in files.items()} | {"../escape": b"no"})
    server.files["cifar.tar.gz"] = packed
    for name, value in {
        "url": server.url + "cifar.tar.gz",
        "tgz_md5": md5(packed),
        "train_list": [[name, md5(batch)] for name in published.CIFAR10_BATCHES[:5]],
        "test_list": [["test_batch", md5(batch)]],
        "meta": {"filename": "batches.meta", "key": "label_names", "md5": md5(files["batches.meta"])},
    }.items():
        monkeypatch.setattr(datasets.CIFAR10, name, value)
    config = DataConfig(name="cifar10", validation=0)
    data.ensure(config, [tmp_path])
    assert relative(tmp_path) == sorted(f"cifar-10-batches-py/{name}" for name in published.CIFAR10_BATCHES)
    test = data.load(config, "test", [tmp_path])
    assert (test.images == pixels.reshape(2, 3, 32, 32)).all()
    assert [test.class_names[label] for label in test.labels] == ["cat", "truck"]
    assert data.load(config, "train", [tmp_path]).images.shape == (10, 3, 32, 32)
    (tmp_path / "cifar-10-batches-py/data_batch_2").write_bytes(b"no pickle")
    with pytest.raises(DataError, match=r"CIFAR-10 in .* is damaged .* delete data_batch_1"):
        data.load(config, "train", [tmp_path])


def test_stl10_needs_no_unlabelled_images(tmp_path, monkeypatch):
    from torchvision import datasets

    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    pixels = RANDOM.integers(0, 256, (2, 3, 96, 96), dtype=np.uint8)
    stored = {name: pixels.transpose(0, 1, 3, 2).tobytes() for name in ("train_X.bin", "test_X.bin")}
    stored |= {"train_y.bin": bytes([1, 10]), "test_y.bin": bytes([2, 3]), "class_names.txt": b"airplane\n"}
    for name, content in stored.items():
        (folder / name).write_bytes(content)
    listed = [[name, md5(stored[name])] for name in ("train_X.bin", "train_y.bin")]
    monkeypatch.setattr(datasets.STL10, "train_list", [*listed, ["unlabeled_X.bin", "0"]])
    monkeypatch.setattr(
        datasets.STL10, "test_list", [[name, md5(stored[name])] for name in ("test_X.bin", "test_y.bin")]
    )
    split = data.load(DataConfig(name="stl10", validation=0), "train", [tmp_path])
    assert (split.images == pixels).all()
    assert [split.class_names[label] for label in split.labels] == ["airplane", "truck"]
    small = data.load(DataConfig(name="stl10", size=32), "test", [tmp_path])
    assert small.images.shape == (2, 3, 32, 32)


def test_svhn_counts_its_tens_as_zeros(tmp_path, monkeypatch):
    from scipy.io import savemat
    from torchvision import datasets

    pixels = RANDOM.integers(0, 256, (32, 32, 3, 2), dtype=np.uint8)
    listed = {}
    for split in ("train", "test"):
        path = tmp_path / f"{split}_32x32.mat"
        savemat(path, {"X": pixels, "y": np.array([[10], [4]])})
        listed[split] = ["http://nowhere", path.name, md5(path.read_bytes())]
    monkeypatch.setattr(datasets.SVHN, "split_list", listed)
    split = data.load(DataConfig(name="svhn", validation=0), "train", [tmp_path])
    assert (split.images == pixels.transpose(3, 2, 0, 1)).all()
    assert split.labels.tolist() == [0, 4]


def test_every_published_set_knows_its_addresses_and_checksums():
    for found in published.PUBLISHED:
        resources = found.read.resources()  # type: ignore[attr-defined]
        assert resources
        for resource in resources:
            assert isinstance(resource, Resource)
            assert all(url.startswith("http") for url in resource.urls)
            assert len(resource.md5) == 32
        assert found.megabytes > 10
