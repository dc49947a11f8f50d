"""Where the environments of external programs lie, and how one is made."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from baselines.spec import Environment, ModelSpec
from hiar.errors import UsageError

ENVIRONMENT_VARIABLE = "HIAR_ENVIRONMENTS"
DEFAULT_FOLDER = "~/.cache/hiar/environments"


def environments_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder that holds `<model>/venv` and `<model>/code`."""
    return Path(environment.get(ENVIRONMENT_VARIABLE) or DEFAULT_FOLDER).expanduser()


def environment_folder(spec: ModelSpec) -> Path:
    """Folder in which a model's environment belongs."""
    return environments_folder() / spec.key


def python_path(folder: Path) -> Path:
    """Path of an environment's interpreter."""
    return folder / "venv" / "bin" / "python"


def code_path(folder: Path) -> Path:
    """Path of the checkout that an environment runs."""
    return folder / "code"


def missing_parts(folder: Path) -> list[Path]:
    """Parts of an environment that are missing."""
    return [path for path in (python_path(folder), code_path(folder)) if not path.exists()]


def require_environment(spec: ModelSpec, folder: Path) -> None:
    """Checks that an environment exists.

    Raises:
        UsageError: Parts are missing; the message names them and where the recipe is.
    """
    missing = missing_parts(folder)
    if missing:
        named = ", ".join(map(str, missing))
        raise UsageError(
            f"the environment of {spec.key} is missing: {named}; `hiar-baselines show {spec.key}` "
            "has the commands that make it, or pass --environment FOLDER"
        )


def recipe(environment: Environment, folder: Path) -> list[str]:
    """The shell commands that make an environment, in order."""
    here, code = shlex.quote(str(folder)), shlex.quote(str(code_path(folder)))
    return [
        f"# Python {environment.python}",
        f"git clone {environment.repository} {code}",
        f"git -C {code} checkout {environment.commit}",
        f"python3 -m venv {here}/venv && . {here}/venv/bin/activate && cd {code}",
        *environment.install,
    ]
