"""Measures videos: decoding, metrics, segments, slopes and the drift score.

    from drift import ScoreConfig, score_folder
    result = score_folder("videos/", out="run/", config=ScoreConfig(metrics=("saturation",)))

Names are loaded on first use, so that `import drift` and every `--help` stay fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drift.errors import StorageError, UsageError, WorkerError
    from drift.run.score_folder import RunResult, rebuild, score_folder
    from drift.score.config import ScoreConfig

__all__ = [
    "RunResult",
    "ScoreConfig",
    "StorageError",
    "UsageError",
    "WorkerError",
    "rebuild",
    "score_folder",
]

_HOMES = {
    "ScoreConfig": "drift.score.config",
    "StorageError": "drift.errors",
    "UsageError": "drift.errors",
    "WorkerError": "drift.errors",
    "RunResult": "drift.run.score_folder",
    "rebuild": "drift.run.score_folder",
    "score_folder": "drift.run.score_folder",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'drift' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
