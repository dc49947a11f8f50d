"""What every package must keep: light commands, light imports, a small repository."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "hiar": "hiar",
    "drift": "drift",
    "eval": "hiar-vbench",
    "baselines": "hiar-baselines",
    "reports": "reproduce-paper",
}
HEAVY = ("torch", "pandas", "matplotlib", "diffusers", "transformers", "cv2", "av")
MIB = 2**20
# Tracked bytes allowed in all: the tiny checkpoints and the golden vectors.
FOLDER_LIMITS = {"hiar/tiny/assets": 24 * MIB, "tests/golden": 5 * MIB}
FILE_LIMIT = 4 * MIB


def run_python(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *argv], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("package", COMMANDS)
def test_help_works_as_a_module(package: str) -> None:
    done = run_python("-m", package, "--help")
    assert done.returncode == 0, done.stderr
    assert f"usage: {COMMANDS[package]}" in done.stdout


@pytest.mark.parametrize("package", COMMANDS)
def test_command_line_imports_nothing_heavy(package: str) -> None:
    code = f"import sys, {package}.cli.main; print(*sorted(sys.modules.keys() & set({HEAVY!r})))"
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize("package", COMMANDS)
def test_wrong_use_is_exit_2_without_a_traceback(package: str) -> None:
    done = run_python("-m", package, "--no-such-flag")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def tracked_bytes() -> dict[str, int]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [name for name in listing.stdout.split("\0") if (ROOT / name).is_file()]
    return {name: (ROOT / name).stat().st_size for name in paths}


def test_large_files_stand_only_where_they_belong(tracked_bytes: dict[str, int]) -> None:
    allowed = tuple(f"{folder}/" for folder in FOLDER_LIMITS)
    large = [
        name
        for name, size in tracked_bytes.items()
        if size > FILE_LIMIT and not name.startswith(allowed)
    ]
    assert large == []


@pytest.mark.parametrize("folder", FOLDER_LIMITS)
def test_binary_folders_stay_small(tracked_bytes: dict[str, int], folder: str) -> None:
    total = sum(size for name, size in tracked_bytes.items() if name.startswith(f"{folder}/"))
    assert total <= FOLDER_LIMITS[folder]


def test_constraints_hold_names_and_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(pin.count("==") == 1 and not set(pin) & set("/:@; ") for pin in pins)
    assert pins == sorted(pins)
