"""The isolated environment with a real venv and a real pip, on tiny wheels made here."""

import base64
import hashlib
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from drift.errors import UsageError
from eval.errors import IsolatedError
from eval.upstream import environment as environments
from eval.upstream.environment import (
    check_folder,
    default_environment,
    find_python,
    inspect_environment,
    set_up,
)
from eval.upstream.recipe import CONSTRAINTS, CORE, DETECTRON2, LONG, Step, detectron2_step

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="the recipe is for Python 3.11"
)


def make_wheel(folder: Path, name: str, body: str, requires: str = "") -> None:
    """A wheel of one module and one data file, with the record that pip and we check."""
    info = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    files = {
        f"{name}/__init__.py": body,
        f"{name}/data.txt": "0123456789",
        f"{info}/METADATA": metadata + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        rows.append(f"{path},sha256={digest.decode()},{len(text)}")
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,"]))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    make_wheel(folder, "part", "VALUE = 1\n")
    make_wheel(folder, "whole", "import part\n", requires="part")
    make_wheel(folder, "extra", "raise RuntimeError('no CUDA runtime')\n")
    return folder


def step(wheels: Path, name: str = "whole") -> Step:
    return Step(
        name=name,
        packages=(name,),
        options=("--no-index", "--find-links", str(wheels)),
        modules=(name,),
        gigabytes=0.01,
        minutes=0.1,
        gives="nothing",
    )


@pytest.fixture(scope="module")
def made(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """An environment made where one had lost its Python, and what was told meanwhile."""
    folder, told = tmp_path_factory.mktemp("home") / "env", []
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text("home = /nowhere\n")
    (folder / "bin" / "python").symlink_to("/nowhere/python3.11")
    (folder / "old").write_text("")
    assert check_folder(folder, []) == "there"
    set_up(folder, [step(wheels)], python=find_python(None), pinned=False, tell=told.append)
    return folder, told


def again(made, wheels: Path) -> list[str]:
    told: list[str] = []
    found = set_up(
        made[0], [step(wheels)], python=find_python(None), pinned=False, tell=told.append
    )
    assert {"part", "whole"} <= set(found.packages)
    assert not found.broken
    assert not found.failures
    return told


def site(environment: Path) -> Path:
    return next(environment.glob("lib/python3*/site-packages"))


def test_made_anew_then_nothing_to_do(made, wheels: Path) -> None:
    assert not (made[0] / "old").exists()
    assert any("making an environment" in line for line in made[1])
    assert any("whole: installing" in line for line in made[1])
    assert check_folder(made[0], [step(wheels)]) == "there"
    assert again(made, wheels) == ["whole: there, every module imports"]


def remove_data(packages: Path) -> None:
    (packages / "part" / "data.txt").unlink()  # every module still imports


def cut_data(packages: Path) -> None:
    (packages / "part" / "data.txt").write_text("0123")


def remove_module(packages: Path) -> None:
    shutil.rmtree(packages / "part")


def stop_pip(packages: Path) -> None:
    """What an install that was killed leaves: files without their record."""
    (packages / "part-1.0.dist-info" / "RECORD").unlink()


def stop_uninstall(packages: Path) -> None:
    """What a replacement that was killed leaves: the old metadata under a name with ~."""
    (packages / "part-1.0.dist-info").rename(packages / "~art-1.0.dist-info")
    shutil.rmtree(packages / "part")


@pytest.mark.parametrize("damage", [remove_data, cut_data, remove_module, stop_pip, stop_uninstall])
def test_half_installed_is_seen_and_repaired(made, wheels: Path, damage) -> None:
    damage(site(made[0]))
    log = made[0] / "inspect.log"
    seen = inspect_environment(made[0], [step(wheels)], log)
    assert seen.broken
    told = again(made, wheels)
    assert "is damaged" in told[0]
    assert (site(made[0]) / "part" / "data.txt").read_text() == "0123456789"


def test_a_module_that_does_not_import_is_an_error(made, wheels: Path) -> None:
    with pytest.raises(IsolatedError, match="extra does not work: RuntimeError: no CUDA"):
        set_up(made[0], [step(wheels, "extra")], python=find_python(None), pinned=False)
    assert "Successfully installed extra" in (made[0] / "setup.log").read_text()


def test_a_failing_pip_is_an_error_with_its_last_line(made, wheels: Path) -> None:
    with pytest.raises(IsolatedError, match=r"absent.*same command goes on"):
        set_up(made[0], [step(wheels, "absent")], python=find_python(None), pinned=False)


def test_folders_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("")
    with pytest.raises(UsageError, match="other files"):
        check_folder(tmp_path / "thesis", [CORE])
    with pytest.raises(UsageError, match="is a file"):
        check_folder(tmp_path / "thesis" / "chapter.tex", [CORE])
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    (stopped / "setup.log").write_text("")  # stopped before the first file
    assert check_folder(stopped, []) == "new"


def test_disk_and_tools_are_checked_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "free_bytes", lambda folder: 10**9)
    with pytest.raises(UsageError, match=r"needs 6.6 GB, its disk has 1.0 GB"):
        check_folder(tmp_path / "env", [CORE])
    monkeypatch.setattr(environments, "free_bytes", lambda folder: 10**12)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"detectron2 needs g\+\+"):
        check_folder(tmp_path / "env", [detectron2_step()])
    with pytest.raises(UsageError, match=r"is not Python 3\.11"):
        find_python("python2.7")


def test_default_folder() -> None:
    assert default_environment({"HIAR_VBENCH_ENV": "/x"}) == Path("/x")
    assert default_environment({"XDG_DATA_HOME": "/d"}) == Path("/d/hiar/vbench-env")


def test_recipe() -> None:
    pins = [line for line in CONSTRAINTS.read_text().splitlines() if line[0] != "#"]
    assert all(pin.count("==") == 1 and not set(pin) & set("/:@; ") for pin in pins)
    names = {pin.split("==")[0].lower() for pin in pins}
    assert {"vbench", "torch", "setuptools", "transformers", "moviepy", "dreamsim"} <= names
    assert len(CORE.modules) == 1 + 12
    assert len(detectron2_step().modules) == 4
    assert all(module.startswith("vbench2_beta_long") for module in LONG.modules)
    assert "@" in DETECTRON2.removeprefix("git+https://")  # a fixed commit


def test_command_says_what_it_would_do(
    vbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "free_bytes", lambda folder: 10**10)
    code, _, err = vbench("setup", "--env", tmp_path / "env", "--long", "--dry-run")
    assert code == 0, err
    for words in ("6.6 GB", "without detectron2", "10.0 GB free", "vbench==0.1.5", "VBench-Long"):
        assert words in err
    assert not (tmp_path / "env").exists()
    code, _, err = vbench("setup", "--env", tmp_path / "env", "--python", "/bin/sh")
    assert code == 2
    assert err.count("\n") == 1
