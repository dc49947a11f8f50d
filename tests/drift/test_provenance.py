"""Provenance names code and versions, not a machine."""

import platform
import subprocess
from pathlib import Path

from drift import provenance


def test_packages_and_platform_but_no_host():
    facts = provenance.collect_provenance()
    assert facts["packages"]["av"]
    assert facts["packages"]["numpy"]
    assert platform.node() not in str(facts).split("'")


def test_a_folder_outside_any_repository_has_no_commit(tmp_path):
    assert provenance._git(tmp_path, "ls-files", "--error-unmatch", "__init__.py") is None


def test_a_package_inside_a_repository_that_does_not_track_it_is_no_checkout(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "__init__.py").touch()
    assert provenance._git(Path(tmp_path), "ls-files", "--error-unmatch", "__init__.py") is None
