"""The commit in a record is of the code that ran, not of a repository that surrounds it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ASK = """
import json
from drift.provenance import collect_provenance
from hiar.runtime.provenance import git_commit

facts = collect_provenance()
print(json.dumps([git_commit(), facts["git_commit"], facts["git_dirty"]]))
"""


def git(repository: Path, *arguments: str) -> str:
    author = ["-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *author, *arguments], cwd=repository, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def copy_packages(folder: Path) -> None:
    for package in ("hiar", "drift"):
        unneeded = shutil.ignore_patterns("__pycache__", "assets")
        shutil.copytree(ROOT / package, folder / package, ignore=unneeded)


def ask(packages: Path) -> list[object]:
    """hiar's commit, drift's commit, and whether drift differs from it."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", ASK], cwd=packages, capture_output=True, text=True, check=True
    )
    answer: list[object] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("ignored", [True, False])
def test_a_repository_around_a_virtual_environment_is_not_ours(
    tmp_path: Path, ignored: bool
) -> None:
    installed = tmp_path / ".venv/lib/python3/site-packages"
    copy_packages(installed)
    (tmp_path / ".gitignore").write_text(".venv\n" if ignored else "")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".gitignore")
    git(tmp_path, "commit", "-q", "-m", "somebody else's work")
    assert ask(installed) == [None, None, None]


def test_a_checkout_is_named_and_an_edited_package_is_dirty(tmp_path: Path) -> None:
    copy_packages(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "our work")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "notes.txt").write_text("beside the packages")
    assert ask(tmp_path) == [commit, commit, False]
    for package in ("hiar", "drift"):
        with (tmp_path / package / "errors.py").open("a") as file:
            file.write("# edited\n")
    assert ask(tmp_path) == [f"{commit}-dirty", commit, True]
