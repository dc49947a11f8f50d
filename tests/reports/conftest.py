import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from study_records import mechanism_record, students_record

import eval as eval_
import hiar
from hiar.tiny.mechanism import FOLDER, REFERENCE
from hiar.tiny.study import CAUSVID, SELF_FORCING, WEIGHTS_FILE
from reports.paper.spec import load_preset
from reports.records.drift_record import DriftRecord
from reports.records.measurements import Measurements
from reports.records.speed_records import BenchRecord
from reports.records.video_records import VideoRecord
from reports.schemas.drift_records import MetricSummary, Shape

PROMPTS = ("a red disc moves left", 'a "quoted" <b>blue</b> & $5 square 🎈 moves up')


FIG_4 = [
    {"step": 10 * i, "bidirectional": 2.0 - 0.1 * i, "causal": 1.9 - 0.1 * i + 0.01 * (i % 2),
     "videos": {"bidirectional": [2.0], "causal": [1.9]}}
    for i in range(5)
]  # fmt: skip
"""Fig. 4's points in the record of the drawn study."""


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH whose `hiar` draws videos; its other modules are the real ones."""
    root = tmp_path_factory.mktemp("packages")
    assets = root / "hiar/tiny/assets"
    (assets / "transformer").mkdir(parents=True)
    real = Path(hiar.__file__).parent
    (root / "hiar/__init__.py").write_text(f"__path__.append({str(real)!r})\n")
    shutil.copy(Path(__file__).with_name("fake_hiar_commands.py"), root / "hiar/__main__.py")
    for model in (SELF_FORCING, CAUSVID):
        (assets / str(model.folder)).mkdir(parents=True)
        (assets / str(model.folder) / WEIGHTS_FILE).write_bytes(b"weights")
    fake_eval = root / "eval"
    fake_eval.mkdir()
    (fake_eval / "__init__.py").write_text(
        f"__path__.append({str(Path(eval_.__file__).parent)!r})\n"
    )
    shutil.copy(Path(__file__).with_name("fake_eval_commands.py"), fake_eval / "__main__.py")
    measured = root / "reports/measured"
    measured.mkdir(parents=True)  # no package: the real `reports` is found after it
    for name, record in (
        ("mechanism", mechanism_record({REFERENCE: 0.4})),
        ("students", students_record({"self-forcing": 0.4}, points=FIG_4)),
    ):
        (measured / f"tiny-{name}.json").write_text(json.dumps(record), encoding="utf-8")
    any_level = assets / FOLDER
    any_level.mkdir(parents=True)
    (any_level / WEIGHTS_FILE).write_bytes(b"weights")
    (assets / "heldout_prompts.txt").write_text("\n".join(PROMPTS), encoding="utf-8")
    (assets / "transformer/model.safetensors").write_bytes(b"weights")
    (assets / "transformer/config.json").write_text("{}")
    return root


@pytest.fixture(scope="session")
def environment(packages: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(packages), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def reproduce(
    packages: Path, environment: dict[str, str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs reproduce-paper in a process of its own, against the drawn videos."""

    def run(*args: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "reports", *args],
            cwd=packages,
            env={**environment, **extra},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def reproduction(
    tmp_path_factory: pytest.TempPathFactory,
    reproduce: Callable[..., subprocess.CompletedProcess[str]],
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A whole tiny reproduction: its folder, and what the command said."""
    out = tmp_path_factory.mktemp("whole") / "out"
    return out, reproduce("--out", str(out))


def drift_record(run: str, scores: tuple[float, ...]) -> DriftRecord:
    mean = sum(scores) / len(scores)
    shape = Shape(
        kinds={"gradual": 1}, line_r2=1.0, step_r2=0.8, curvature=0.0, curvature_ci95=None
    )
    curve = MetricSummary(
        unit="S", better="steady", family="low-level", segment_means=(0.1, 0.2, 0.3, 0.4, 0.5),
        segment_ci95=((0.0, 0.6),) * 5, mean_slope=0.1, ci95=(0.05, 0.15), mean_abs_slope=0.1,
        mean_slope_per_s=None, mean_abs_slope_per_s=None, noise_floor=0.04,
        floor_corrected_slope=0.09, total_change=0.4, label="saturating", labels={"saturating": 1},
        scale=0.15, weight=0.5, drift=1.0, drift_ci95=(1.0, 1.0), drift_noise_floor=0.3,
        shape=shape, framepack_delta15=0.4, vde=None, vde_videos=0, share=0.5,
    )  # fmt: skip
    return DriftRecord(
        run=run,
        value=mean,
        ci95=(mean - 0.05, mean + 0.05),
        videos=len(scores),
        segments=5,
        partial=True,
        missing_metrics=("musiq", "lpips"),
        preset="0" * 64,
        metrics={"saturation": curve, "sharpness": curve},
        video_scores={f"{index}.mp4": score for index, score in enumerate(scores)},
    )


@pytest.fixture(scope="session")
def measurements() -> Measurements:
    """Records of all runs, with round numbers."""
    scores = {
        "tiny-self-forcing": (0.4, 0.6),
        "tiny-hiar": (0.3, 0.45),
        "tiny-causvid": (0.1, 0.2),
        "tiny-no-retraining": (0.35, 0.5),
    }
    video = VideoRecord(
        path=Path("0.mp4"), prompt=PROMPTS[0], prompt_index=0, seed=0, num_frames=321, fps=16.0,
        model={},
    )  # fmt: skip
    speeds = {"block_first": (40.0, 0.3, 5.0), "step_first": (25.0, 0.48, 8.0)}
    return Measurements(
        preset=load_preset("tiny"),
        drifts={run: drift_record(run, values) for run, values in scores.items()},
        bench={
            order: BenchRecord(order=order, throughput_fps=f, latency_s=s, passes_per_block=p)
            for order, (f, s, p) in speeds.items()
        },
        videos={"tiny-self-forcing": [video]},
    )
