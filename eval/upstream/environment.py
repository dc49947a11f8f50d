"""The isolated environment: what is installed in it, what is broken, and how to make or repair it.

No record of earlier installs is kept. The environment is inspected each time, so that an
interrupted install, a deleted file and a package changed by hand are all noticed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from drift.child_process import last_line
from drift.errors import UsageError
from eval.errors import IsolatedError
from eval.upstream.isolated_process import python_of, run_isolated
from eval.upstream.recipe import CONSTRAINTS, PYTHON, Step

ENVIRONMENT_VARIABLE = "HIAR_VBENCH_ENV"
INSPECTION_TIMEOUT_S = 900.0  # first imports from a cold network disk take minutes
LOGS = ("setup.log", "inspect.log")


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What an environment holds.

    Attributes:
        python: Version of its Python.
        packages: Version of each package, by name.
        broken: Packages that lack files, each with the reason.
        failures: Modules that do not import, each with the error.
        cuda_devices: Number of CUDA devices that its torch sees.
    """

    python: str
    packages: Mapping[str, str]
    broken: Mapping[str, str]
    failures: Mapping[str, str]
    cuda_devices: int


def default_environment(variables: Mapping[str, str] = os.environ) -> Path:
    """``HIAR_VBENCH_ENV``, else a folder in the XDG data home."""
    if named := variables.get(ENVIRONMENT_VARIABLE):
        return Path(named).expanduser()
    data = variables.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "hiar" / "vbench-env"


def require_environment(environment: Path) -> Path:
    """Returns the environment's folder if an environment is there.

    Raises:
        UsageError: There is no environment in the folder.
    """
    if not python_of(environment).exists():
        raise UsageError(
            f"no environment in {environment}: make it with `hiar-vbench setup --env {environment}`"
        )
    return environment


def inspect_environment(environment: Path, steps: Sequence[Step], log: Path) -> Inspection:
    """Inspects an environment with its own Python.

    Args:
        environment: Folder of the environment.
        steps: Steps of the recipe whose modules are imported.
        log: File that receives what the imports print.

    Returns:
        The packages, and what is broken.

    Raises:
        IsolatedError: The environment's Python does not start, or crashes while importing.
    """
    modules = tuple(dict.fromkeys(module for step in steps for module in step.modules))
    request = {
        "action": "inspect",
        "modules": modules,
        "long": any(module.startswith("vbench2_beta_long") for module in modules),
    }
    outcome = run_isolated(environment, request, log=log, timeout_s=INSPECTION_TIMEOUT_S)
    if outcome.failure:
        raise IsolatedError(f"{environment} cannot be inspected: {outcome.failure}; log: {log}")
    return Inspection(**outcome.answer)


def find_python(named: str | None) -> Path:
    """Finds an interpreter of the version that the recipe needs.

    Args:
        named: Interpreter from the command line; None tries the running one, then PATH.

    Raises:
        UsageError: No such interpreter was found, or the named one has another version.
    """
    version = f"{PYTHON[0]}.{PYTHON[1]}"
    candidates = [found for name in (named or f"python{version}",) if (found := shutil.which(name))]
    if not named and sys.version_info[:2] == PYTHON:
        candidates.insert(0, getattr(sys, "_base_executable", sys.executable))
    for candidate in candidates:
        if _version_of(candidate) == PYTHON:
            return Path(candidate)
    what = f"{named} is not Python {version}" if named else f"there is no Python {version}"
    raise UsageError(
        f"{what}: VBench's tokenizers has wheels up to {version} only; install it and give "
        "--python PATH"
    )


def _version_of(python: str) -> tuple[int, int] | None:
    code = "import sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor = done.stdout.split()
    return int(major), int(minor)


def check_folder(environment: Path, steps: Sequence[Step]) -> str:
    """Checks that an environment can be made or completed in the folder.

    Returns:
        "there" if the folder already holds an environment, "new" if not.

    Raises:
        UsageError: The folder holds other files, a needed program is missing, or the disk is
            too small.
    """
    if environment.exists() and not environment.is_dir():
        raise UsageError(f"{environment} is a file; give a folder with --env")
    is_there = (environment / "pyvenv.cfg").is_file()
    entries = {entry.name for entry in environment.iterdir()} if environment.is_dir() else set()
    if entries - set(LOGS) and not is_there:
        raise UsageError(f"{environment} holds other files; give a new or empty folder with --env")
    for step in steps:
        for tool in step.tools:
            if shutil.which(tool) is None:
                raise UsageError(f"{step.name} needs {tool}; install it or leave the step out")
    needed = 0.0 if is_there else sum(step.gigabytes for step in steps)
    free = free_bytes(environment) / 1e9
    if free < needed:
        raise UsageError(
            f"{environment} needs {needed:.1f} GB, its disk has {free:.1f} GB free; give a folder "
            "on another disk with --env"
        )
    return "there" if is_there else "new"


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of a folder, which need not exist yet."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def set_up(
    environment: Path,
    steps: Sequence[Step],
    *,
    python: Path,
    pinned: bool = True,
    tell: Callable[[str], None] = lambda line: None,
) -> Inspection:
    """Makes the environment, or completes and repairs the one that is there.

    Args:
        environment: Folder of the environment; see ``check_folder``.
        steps: Steps of the recipe to install.
        python: Interpreter that makes the environment.
        pinned: Whether to install the versions of ``vbench_constraints.txt``.
        tell: Called with one line of text for each thing that is done.

    Returns:
        The finished environment, in which every module of the steps imports.

    Raises:
        IsolatedError: An installation failed, or a module still does not import after it.
    """
    log, inspect_log = (environment / name for name in LOGS)
    if not _answers(environment):
        tell(f"making an environment with {python} in {environment}")
        shutil.rmtree(environment, ignore_errors=True)  # without pip it cannot be completed
        _run([str(python), "-m", "venv", str(environment)], log)
    found = inspect_environment(environment, steps, inspect_log)
    for name, reason in found.broken.items():
        tell(f"{name} is damaged ({reason}): it will be installed again")
    _forget(environment, found.broken)
    lacking = [s for s in steps if found.broken or set(s.modules) & set(found.failures)]
    for step in steps:
        if step not in lacking:
            tell(f"{step.name}: there, every module imports")
    if not lacking:
        return found
    for step in lacking:
        tell(f"{step.name}: installing, about {step.minutes:g} minutes; log: {log}")
        pins = ["-c", str(CONSTRAINTS)] if pinned else []
        _pip_install(environment, [*step.options, *pins, *step.packages], log)
    found = inspect_environment(environment, steps, inspect_log)
    for what, reason in (*found.broken.items(), *found.failures.items()):
        raise IsolatedError(
            f"after the installation {what} does not work: {reason}; logs: {log}, {inspect_log}"
        )
    return found


def _answers(environment: Path) -> bool:
    """Whether the environment's interpreter and its pip run."""
    command = [str(python_of(environment)), "-I", "-m", "pip", "--version"]
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=120)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _forget(environment: Path, broken: Iterable[str]) -> None:
    """Removes the metadata of damaged packages, so that pip installs them again."""
    for site in environment.glob("lib/python3*/site-packages"):
        for name in broken:
            shutil.rmtree(site / name, ignore_errors=True)


def _pip_install(environment: Path, arguments: Sequence[str], log: Path) -> None:
    python = str(python_of(environment))
    quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    _run([python, "-I", "-m", "pip", "install", *quiet, *arguments], log)


def _run(command: Sequence[str], log: Path) -> None:
    """Runs a program and appends its output to the log.

    Raises:
        IsolatedError: The program fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    with log.open("a", encoding="utf-8") as output:
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env=variables, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise IsolatedError(
            f"{Path(command[0]).name} exited with {done.returncode}: "
            f"{last_line(log) or 'it printed nothing'}; whole log: {log}; "
            "the same command goes on from here"
        )
