"""The wheel, made from the source archive, in an environment and a folder outside the checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown import PROGRAMS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hiar", "drift", "eval", "baselines", "reports")
PROMPT = "a red disc moves left over a grey background, still"
TAGGED = "0.1.0"
"""A version that the archive is built with, so that the test needs no git."""

pytestmark = pytest.mark.slow


def run(*words: str | Path, cwd: Path, **variables: str) -> str:
    """Runs a command that must succeed; returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=environment | variables,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, as the build back end makes it of this checkout."""
    out = tmp_path_factory.mktemp("archive")
    build = (sys.executable, "-m", "hatchling", "build", "--target", "sdist", "-d", out)
    run(*build, cwd=ROOT, SETUPTOOLS_SCM_PRETEND_VERSION=TAGGED)
    return next(out.iterdir())


@pytest.fixture(scope="module")
def wheel(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, from the unpacked archive alone."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.unpack_archive(archive, source)
    build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", out)
    run(*build, cwd=next(source.iterdir()))
    return next(out.iterdir())


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel, and an empty folder to work in."""

    programs: Path
    folder: Path

    def __call__(self, program: str, *arguments: str | Path) -> str:
        return run(self.programs / program, *arguments, cwd=self.folder, OMP_NUM_THREADS="1")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment of its own, which sees the packages that it needs from here."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    names = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=names))
    run(sys.executable, "-m", "pip", "--python", folder / "venv/bin/python", "install", "--no-deps",
        "--no-index", "--quiet", "--disable-pip-version-check", wheel, cwd=folder)  # fmt: skip
    # A line of a .pth file adds a folder behind the environment's own; the .pth files in that
    # folder are not followed, so the checkout, which is installed there, is not seen.
    (packages / "needed.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    (folder / "work").mkdir()
    return Installed(folder / "venv/bin", folder / "work")


def test_wheel_holds_the_packages_and_their_files(wheel: Path) -> None:
    """Code, weights, templates, presets: all that lies in the packages, and nothing else."""
    with zipfile.ZipFile(wheel) as packed:
        held = {name for name in packed.namelist() if ".dist-info/" not in name}
    here = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"hiar/tiny/assets/vae/diffusion_pytorch_model.safetensors"} <= held
    assert held == here


def test_archive_holds_what_a_contributor_needs(archive: Path) -> None:
    with tarfile.open(archive) as packed:
        held = {name.split("/", 1)[1] for name in packed.getnames() if "/" in name}
    assert {
        "Makefile", "constraints.txt", "pyproject.toml", "LICENSE", "CITATION.cff", "mkdocs.yml",
        "tests/golden/README.md", "docs/README.md", "CONTRIBUTING.md",
    } <= held  # fmt: skip


def test_the_version_is_that_of_the_tag(installed: Installed) -> None:
    code = "import hiar, importlib.metadata as m; print(m.version('hiar-toolkit'), hiar.__file__)"
    version, place = installed("python", "-c", code).split()
    assert version == TAGGED
    assert Path(place).is_relative_to(installed.programs.parent)


@pytest.mark.parametrize("program", PROGRAMS)
def test_commands_say_how_they_are_used(program: str, installed: Installed) -> None:
    assert installed(program, "--help").startswith(f"usage: {program}")


def test_a_video_is_made_and_scored(installed: Installed) -> None:
    installed("hiar", "sample", "--prompt", PROMPT, "--latent-frames", "6", "--out", "videos")
    installed("drift", "score", "videos", "--out", "run", "--workers", "1")
    summary = json.loads((installed.folder / "run/summary.json").read_text(encoding="utf-8"))
    assert summary["videos"] == summary["scored"] == 1
    assert (installed.folder / "run/report.html").is_file()
    assert installed("drift", "report", "run")


def test_the_paper_is_planned(installed: Installed) -> None:
    plan = json.loads(installed("reproduce-paper", "--preset", "smoke", "--dry-run", "--json"))
    assert plan["jobs"]


def test_listings_need_no_checkout(installed: Installed) -> None:
    models = json.loads(installed("hiar-baselines", "list", "--json"))["models"]
    assert {"hiar", "self-forcing"} <= {model["key"] for model in models}
    assert "subject_consistency" in installed("hiar-vbench", "dimensions")
