"""Folders in object storage: a real S3-compatible server, and fsspec's memory file system."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drift import UsageError, score_folder
from drift.cli.main import main
from drift.run.storage import fetch, location, on_this_machine, send

fsspec = pytest.importorskip("fsspec")
RESULTS = ("frames.parquet", "videos.csv", "summary.json", "report.html")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFT_REMOTE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    pytest.importorskip("s3fs")
    server_module = pytest.importorskip("moto.server", reason="moto is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        files = fsspec.filesystem("s3", skip_instance_cache=True)
        files.mkdir("bucket")
        yield files
    server.stop()


@pytest.mark.slow
def test_a_bucket_is_scored_into_a_bucket(
    s3: Any, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = score_folder(clips, out=tmp_path / "here", progress=None)
    s3.put(str(clips) + "/", "bucket/videos/", recursive=True)
    argv = ["score", "s3://bucket/videos", "--out", "s3://bucket/runs/one", "--workers", "1"]
    assert main(argv) == 0
    for name in RESULTS:
        assert s3.cat_file(f"bucket/runs/one/{name}") == (here.out / name).read_bytes()
    # Another machine, with an empty cache, goes on from what the bucket holds.
    shutil.rmtree(tmp_path / "cache")
    # A video that is decoded again is an error.
    monkeypatch.setattr("drift.run.measure.open_video", None)
    assert main(argv) == 0


@pytest.mark.slow
def test_what_is_wrong_with_a_bucket_is_one_line(
    s3: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for address in ("s3://bucket/none", "s3://no-such-bucket/videos"):
        assert main(["score", address, "--out", str(tmp_path / "run")]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"drift: {address}: ")
        assert error.count("\n") == 1


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def test_only_what_changed_is_copied(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.pipe({"/in/a.mp4": b"a", "/in/sub/b.mp4": b"b", "/in/c.mp4": b"c"})
    local = fetch("memory://in")
    assert local.name == "in"
    assert {p.relative_to(local).as_posix() for p in local.rglob("*.mp4")} == {
        "a.mp4", "sub/b.mp4", "c.mp4",
    }  # fmt: skip
    copied = counted(memory, "get_file", monkeypatch)
    memory.pipe_file("/in/a.mp4", b"new")
    memory.rm_file("/in/c.mp4")
    assert fetch("memory://in") == local
    assert copied == ["/in/a.mp4"]
    assert (local / "a.mp4").read_bytes() == b"new"
    assert not (local / "c.mp4").exists()


def test_only_what_changed_is_sent_also_after_an_error(
    memory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe_file("/in/a.mp4", b"a")

    def work() -> None:
        with on_this_machine(["memory://in"], "memory://run") as (folders, out):
            assert (folders[0] / "a.mp4").read_bytes() == b"a"
            (out / "records").mkdir(exist_ok=True)
            (out / "records/x.json").write_text("{}")
            raise RuntimeError("a worker died")

    with pytest.raises(RuntimeError):
        work()
    assert memory.cat_file("/run/records/x.json") == b"{}"
    with on_this_machine([tmp_path], "memory://run") as (_, out):
        (out / "summary.json").write_text("{}")
        sent = counted(memory, "put_file", monkeypatch)
    assert sent == ["/run/summary.json"]


def counted(files: Any, method: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Remote names that a method was called for."""
    seen: list[str] = []
    real: Callable[..., Any] = getattr(type(files), method)

    def call(self: Any, first: str, second: str, **more: Any) -> Any:
        seen.append(first if method == "get_file" else second)
        return real(self, first, second, **more)

    monkeypatch.setattr(type(files), method, call)
    return seen


def test_an_address_is_none_of_this_machine_s_paths() -> None:
    assert location("videos/x") == Path("videos/x")
    assert location("s3://bucket/x") == "s3://bucket/x"
    assert location("C:/videos") == Path("C:/videos")


def test_an_unknown_kind_of_storage_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"nosuch://x/y: Protocol not known: nosuch"):
        fetch("nosuch://x/y")


def test_a_folder_without_files_is_none(memory: Any) -> None:
    with pytest.raises(UsageError, match="memory://empty: no such folder, or it is empty"):
        fetch("memory://empty")


def test_a_single_video_is_copied_as_a_file(memory: Any, clips: Path, tmp_path: Path) -> None:
    memory.put(str(clips / "astronaut.mp4"), "/videos/x.mp4")
    score = ["score", "memory://videos/x.mp4", "--out", str(tmp_path / "run"), "--workers", "1"]
    assert main(score) == 0
    assert main(score) == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert (summary["videos"], summary["scored"]) == (1, 1)


def test_hidden_files_stay(memory: Any, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.x.tmp").write_text("half")
    (tmp_path / "out/y").write_text(json.dumps({}))
    send(tmp_path / "out", "memory://run")
    assert memory.find("/run") == ["/run/y"]
