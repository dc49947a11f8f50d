"""What is the user's to mend ends every command in one line and exit code 2."""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from docs_reference.errors import messages

from drift.command_line import fault_report

ROOT = Path(__file__).resolve().parents[1]
NAMES = {
    "hiar": "hiar",
    "drift": "drift",
    "eval": "hiar-vbench",
    "baselines": "hiar-baselines",
    "reports": "reproduce-paper",
}
TOPICS = messages(ROOT)
LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def environment(**variables: object) -> dict[str, str]:
    settings = {name: str(value) for name, value in variables.items()}
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | settings


def run(package: str, *arguments: object, **variables: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", package, *map(str, arguments)],
        cwd=ROOT, env=environment(**variables), capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


def the_line(package: str, done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr, of a command that ended with exit code 2."""
    lines = [line for line in done.stderr.splitlines() if not is_progress(line)]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"{NAMES[package]}: ")
    assert done.returncode == 2
    topic = re.search(r" \[([\w-]+)\]$", lines[0])
    assert topic is not None and topic[1] in TOPICS
    return lines[0]


def is_progress(line: str) -> bool:
    """Whether a line counts what is done, as long runs do: `[1/4] ...`, `sampling ...`."""
    return line.startswith(("[", "sampling ", "trajectories", "bench"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that is no folder, no TOML, no JSON and not UTF-8."""
    path = tmp_path / "file"
    path.write_bytes(b"\xff\xfe{")
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    with av.open(folder / "a.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for shade in range(20):
            picture = np.full((64, 64, 3), 10 * shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of VBench, as upstream writes them."""
    folder = tmp_path_factory.mktemp("results")
    entry = [0.5, [{"video_path": "a.mp4", "video_results": 0.5}]]
    (folder / "a_eval_results.json").write_text(json.dumps({"color": entry}))
    return folder


@pytest.mark.parametrize(
    ("package", "variable", "arguments"),
    [
        ("hiar", "HIAR_WEIGHTS", ["weights", "list"]),
        ("hiar", "HIAR_WEIGHTS", ["sample", "--model", "hiar", "--prompt", "a", "--out", "{out}"]),
        ("drift", "DRIFT_WEIGHTS", ["weights", "list"]),
        ("drift", "DRIFT_WEIGHTS", ["score", "{videos}", "--metrics", "musiq", "--out", "{out}"]),
        ("eval", "VBENCH_CACHE_DIR", ["weights", "list"]),
        ("baselines", "HIAR_WEIGHTS", ["list"]),
        ("baselines", "HIAR_WEIGHTS", ["generate", "hiar", "--prompt", "a", "--out", "{out}"]),
        ("reports", "HIAR_WEIGHTS", ["--preset", "quick", "--out", "{out}", "--dry-run"]),
        ("reports", "DRIFT_WEIGHTS", ["--preset", "quick", "--out", "{out}", "--dry-run"]),
    ],
)
def test_a_weights_folder_that_is_a_file(
    package: str, variable: str, arguments: list[str], file: Path, tmp_path: Path, videos: Path
) -> None:
    argv = [argument.format(out=tmp_path / "out", videos=videos) for argument in arguments]
    line = the_line(package, run(package, *argv, **{variable: file}))
    assert str(file) in line
    assert variable in line


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("hiar", ["train", "--config", "{bad}", "--out", "{out}"]),
        ("hiar", ["sample", "--prompts", "{bad}", "--out", "{out}"]),
        ("drift", ["score", "{videos}", "--preset", "{bad}", "--out", "{out}"]),
        ("eval", ["prompts", "--suite", "{bad}"]),
        ("baselines", ["generate", "hiar", "--prompts", "{bad}", "--out", "{out}"]),
        ("reports", ["--spec", "{bad}", "--dry-run"]),
    ],
)
@pytest.mark.parametrize("kind", ["garbled", "folder", "cut"])
def test_a_config_that_cannot_be_read(
    package: str, arguments: list[str], kind: str, file: Path, tmp_path: Path, videos: Path
) -> None:
    """Not text, a folder, or text that breaks off."""
    if kind == "cut" and "--prompts" in arguments:
        pytest.skip("any text is a prompt")
    cut = tmp_path / "cut"
    cut.write_text('{"a": [')
    bad = {"garbled": file, "folder": tmp_path, "cut": cut}[kind]
    names = {"bad": bad, "out": tmp_path / "out", "videos": videos}
    line = the_line(package, run(package, *(argument.format(**names) for argument in arguments)))
    assert str(bad) in line


@pytest.mark.parametrize("kind", ["file", "below a file", "link to nothing"])
@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("hiar", ["sample", "--prompt", "a", "--out", "{folder}"]),
        ("hiar", ["trajectories", "--draw-prompts", "1", "--latent-frames", "3",
                  "--out", "{folder}"]),
        ("drift", ["score", "{folder}", "--out", "{out}"]),
        ("drift", ["score", "{videos}", "--segments", "2", "--out", "{folder}"]),
        ("drift", ["report", "{folder}"]),
        ("eval", ["score", "{folder}", "--out", "{out}"]),
        ("eval", ["score", "{results}", "--out", "{folder}/score.json"]),
        ("baselines", ["generate", "hiar", "--prompt", "a", "--out", "{folder}"]),
        ("reports", ["--preset", "smoke", "--out", "{folder}"]),
        ("reports", ["status", "{folder}"]),
        ("reports", ["verify", "{folder}"]),
    ],
)  # fmt: skip
def test_a_folder_that_is_none(
    package: str,
    arguments: list[str],
    kind: str,
    file: Path,
    tmp_path: Path,
    videos: Path,
    results: Path,
) -> None:
    """For reading or for writing; root passes every permission, so these do not rest on any."""
    link = tmp_path / "link"
    link.symlink_to(file / "nothing")
    folder = {"file": file, "below a file": file / "x", "link to nothing": link}[kind]
    names = {"folder": folder, "out": tmp_path / "out", "videos": videos, "results": results}
    line = the_line(package, run(package, *(argument.format(**names) for argument in arguments)))
    assert str(file) in line or str(link) in line


@pytest.mark.parametrize("text", ["[]", "3", "null", "[", ""])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("reproduction.json", ["status", "{folder}"]),
        ("reproduction.json", ["--preset", "smoke", "--out", "{folder}"]),
        ("manifest.json", ["verify", "{folder}"]),
    ],
)
def test_a_record_of_a_reproduction_that_is_another_thing(
    name: str, arguments: list[str], text: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    done = run("reports", *(argument.format(folder=tmp_path) for argument in arguments))
    assert str(tmp_path / name) in the_line("reports", done)


WRITING = [
    ("hiar", ["sample", "--prompt", "a red disc", "--latent-frames", "3", "--out", "{out}"]),
    ("hiar", ["sample", "--prompt", "a red disc", "--latent-frames", "3", "--save-latents",
              "--out", "{out}"]),
    ("hiar", ["trajectories", "--draw-prompts", "1", "--latent-frames", "3", "--out", "{out}"]),
    ("drift", ["score", "{videos}", "--segments", "2", "--out", "{out}"]),
    ("eval", ["score", "{results}", "--out", "{out}/score.json"]),
    ("reports", ["--preset", "smoke", "--out", "{out}"]),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("package", "arguments"), WRITING)
def test_a_limit_on_the_size_of_files(
    package: str, arguments: list[str], tmp_path: Path, videos: Path, results: Path
) -> None:
    """Anybody can have a disk that takes no more: here, no file above 100 bytes."""
    names = {"out": tmp_path / "out", "videos": videos, "results": results}
    argv = [argument.format(**names) for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "100", package, *argv],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    line = the_line(package, done)
    assert str(tmp_path / "out") in line
    assert "File too large" in line


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 kB, mounted where this test may."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk, and not on every machine")
    with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(b"x" * 512):
            pass
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(("package", "arguments"), WRITING)
def test_a_full_disk(
    package: str, arguments: list[str], full_disk: Path, videos: Path, results: Path
) -> None:
    names = {"out": full_disk / "out", "videos": videos, "results": results}
    line = the_line(package, run(package, *(argument.format(**names) for argument in arguments)))
    assert str(full_disk / "out") in line
    assert "No space left on device" in line


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("hiar", ["weights", "list"]),
        ("drift", ["weights", "list"]),
        ("eval", ["dimensions"]),
        ("baselines", ["list"]),
        ("reports", ["--preset", "smoke", "--out", "{out}", "--dry-run"]),
    ],
)
def test_an_output_that_cannot_be_written_is_said_and_one_that_nobody_reads_is_not(
    package: str, arguments: list[str], tmp_path: Path
) -> None:
    arguments = [argument.format(out=tmp_path / "out") for argument in arguments]
    argv = [sys.executable, "-m", package, *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            argv, cwd=ROOT, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True,
            check=False, timeout=60,
        )  # fmt: skip
    assert "standard output" in the_line(package, done)
    with subprocess.Popen(
        argv, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 128 + signal.SIGPIPE


@pytest.mark.parametrize("package", NAMES)
def test_debug_shows_the_traceback(package: str, file: Path) -> None:
    asked = {
        "hiar": ["weights", "list", "--debug", "--weights-dir", file],
        "drift": ["report", file, "--debug"],
        "eval": ["--debug", "prompts", "--suite", file],
        "baselines": ["--debug", "show", "nothing"],
        "reports": ["status", file, "--debug"],
    }
    done = run(package, *asked[package])
    assert done.returncode == 1
    assert "Traceback" in done.stderr


SECRET = "hush"


@pytest.mark.parametrize("package", NAMES)
def test_the_report_of_a_fault_holds_no_word_of_the_user(package: str, tmp_path: Path) -> None:
    out = tmp_path / SECRET
    out.mkdir()
    asked = {
        "hiar": ["sample", "--prompt", f"a {SECRET} disc", f"--out={out}", "--order", "block_first",
                 "--context", "input", "--seed", 5, "--debug"],
        "drift": ["score", out, "--glob", SECRET, "--segments=4", "--out", out / "run", "--debug"],
        "eval": ["--debug", "layout", out],
        "baselines": ["--debug", "generate", "self-forcing", "--weights", SECRET, "--size", "16x16",
                      "--prompt", SECRET, "--out", out],
        "reports": ["--preset", SECRET, "--debug"],
    }  # fmt: skip
    done = run(package, *asked[package], HIAR_WEIGHTS=out)
    report = done.stderr.partition("Traceback")[0]
    assert len(report.splitlines()) > 7
    assert not re.search(f"{SECRET}|{tmp_path.name}|{Path.home()}|{ROOT}", report)
    assert "UsageError [" in report
    assert "variables  HIAR_WEIGHTS" in report
    if package == "drift":
        assert "command    drift score ... --glob ... --segments 4 --out ... --debug" in report


def test_the_report_tells_places_in_the_toolkit_and_libraries_alone() -> None:
    """Neither the message of an error, nor a module of the user's, nor what an error came from."""
    parser = argparse.ArgumentParser("drift")
    own = {"__name__": f"{SECRET}.plans"}
    exec(f"def fail():\n    raise KeyError('{SECRET}')", own)
    with pytest.raises(ValueError) as caught:
        try:
            own["fail"]()
        except KeyError:
            json.loads(SECRET)
    report = fault_report(parser, ["score", SECRET, "--debug"], caught.value)
    assert SECRET not in report
    assert "another module:2 fail" in report
    assert "json.decoder:" in report


def test_the_two_copies_are_one() -> None:
    """hiar and drift do not import one another; what ends their commands must not drift apart."""
    texts = {(ROOT / package / "command_line.py").read_text() for package in ("hiar", "drift")}
    assert len(texts) == 1
