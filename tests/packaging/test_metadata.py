"""What pyproject.toml promises: extras that are named exist, pinned versions are allowed."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = "hiar-toolkit"
EXTRAS: dict[str, list[Requirement]] = {
    extra: [Requirement(line) for line in lines]
    for extra, lines in PROJECT["optional-dependencies"].items()
}
REQUIREMENTS = [Requirement(line) for line in PROJECT["dependencies"]]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)


def test_extras_that_are_named_exist() -> None:
    """In messages, in the documentation and in the extras themselves."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    modules = [p for package in ("hiar", "drift", "eval", "baselines", "reports")
               for p in (ROOT / package).rglob("*.py")]  # fmt: skip
    named = {
        extra.strip()
        for path in [*pages, *modules, ROOT / "pyproject.toml"]
        for found in re.findall(rf"{NAME}\[([\w, -]+)\]", path.read_text(encoding="utf-8"))
        for extra in found.split(",")
    }
    assert "cluster" in named
    assert named <= set(EXTRAS)


def test_attention_backends_name_extras() -> None:
    from hiar.model.attention_kernels import KERNELS

    assert {kernel.extra for kernel in KERNELS.values() if kernel.extra} <= set(EXTRAS)


@pytest.mark.parametrize("pin", PINS)
def test_pins_are_allowed(pin: str) -> None:
    for requirement in [*REQUIREMENTS, *(r for extra in EXTRAS.values() for r in extra)]:
        if canonicalize_name(requirement.name) == canonicalize_name(pin):
            assert requirement.specifier.contains(Version(PINS[pin]), prereleases=True)


def test_version_is_one_of_packaging() -> None:
    """A number that pip can order: from a tag, or counted from the last one."""
    assert Version(version(NAME)) >= Version("0.1.0.dev0")
