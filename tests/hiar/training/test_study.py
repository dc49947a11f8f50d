"""The tiny study: which models fill which rows, and its runs as real processes at tiny budgets."""

import fcntl
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from record_schema import check_record
from safetensors.torch import load_file
from tiny_models.study import (
    StudyConfig,
    StudyRun,
    check_averages,
    is_done,
    pending,
    study_runs,
)
from tiny_models.study_estimate import RunEstimate, format_estimate
from tiny_models.study_export import describe, export
from tiny_models.study_jobs import run_study_jobs

from hiar.cli.main import main
from hiar.codecs.frames import read_video
from hiar.errors import UsageError
from hiar.model.config import WanConfig
from hiar.sampling.single_step import denoise_once
from hiar.tiny.study import HIAR, STUDY_MODELS
from hiar.training.recipes import ABLATIONS, ablation
from hiar.training.run.networks import random_network
from hiar.training.run.settings import load_train_config

ROOT = Path(__file__).parents[3]
PAPER_NUMBERS = ROOT / "reports" / "paper" / "paper_numbers.json"
TINY = (
    "distill.batch_size=2", "distill.micro_batch=2", "distill.ema_start=0",
    "run.sample_every=1",
)  # fmt: skip
SHORT = ("run.memory_check=false", "run.sample_prompts=1", "run.sample_latent_frames=3")


def tables() -> dict[str, list[dict[str, Any]]]:
    numbers = json.loads(PAPER_NUMBERS.read_text())
    return {name: numbers[name]["rows"] for name in ("table2", "table3")}


DISTILLED = {"causvid", "self-forcing", "causal-forcing", "hiar"}
"""Rows of Table 1 that the study has."""


def test_every_published_row_has_one_model() -> None:
    rows = {row["config"] for found in tables().values() for row in found} | DISTILLED
    filled = [row for model in STUDY_MODELS for row in model.fills]
    assert sorted(filled) == sorted(rows - {"no-retraining"})  # that one is not trained


def test_a_model_that_fills_two_rows_is_the_model_of_both() -> None:
    base = load_train_config("tiny-study").stage_config
    assert ablation("context-output", base) == ablation("fkl-bidirectional-1", base) == base
    # The paper prints one set of numbers for its clean row and for Self-Forcing.
    found = tables()
    clean = next(row["values"] for row in found["table2"] if row["config"] == "context-clean")
    forcing = next(row["values"] for row in found["table3"] if row["config"] == "self-forcing")
    assert [clean[i] for i in (0, 1, 3)] == [forcing[i] for i in (0, 1, 3)]


def test_all_other_models_differ() -> None:
    base = load_train_config("tiny-study").stage_config
    configs = [(ablation(model.row, base), model.begins_as) for model in STUDY_MODELS]
    assert all(a != b for i, a in enumerate(configs) for b in configs[:i])
    assert {model.row for model in STUDY_MODELS} <= set(ABLATIONS)


def test_each_is_sampled_as_it_rolled_out() -> None:
    base = load_train_config("tiny-study").stage_config
    for model in STUDY_MODELS:
        sampler = ablation(model.row, base).sampler
        assert (sampler.order, sampler.context) == (model.order, model.context)
        assert sampler.stochastic  # `hiar sample` without --euler


def test_runs_share_all_but_their_row_and_seed(tmp_path: Path) -> None:
    runs = [run for run in study_runs(StudyConfig(work=tmp_path, seeds=(0, 1))) if run.model]
    assert len(runs) == 2 * len(STUDY_MODELS)
    base = load_train_config("tiny-study").stage_config
    shared = set()
    for run in runs:
        assert run.config is not None
        assert run.model is not None
        apart = {"seed": 0, "stage_config": None, "init": None}
        facts = asdict(run.config) | apart
        facts["run"].pop("sample_every")  # Fig. 4 follows one row's motion
        shared.add(json.dumps(facts, sort_keys=True))
        assert run.config.stage_config == ablation(run.model.row, base)
        assert run.needs == ("trajectories", run.model.begins_as)
        assert f"/{run.model.begins_as}/" in run.config.init
    assert len(shared) == 1
    assert sum("seed=1" in run.argv for run in runs) == len(STUDY_MODELS)


def test_wrong_studies_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least one model"):
        StudyConfig(work=tmp_path, models=())
    with pytest.raises(UsageError, match="steps 0"):
        StudyConfig(work=tmp_path, steps=0)
    with pytest.raises(UsageError, match="hiar-s0: 200 steps end before the average begins"):
        check_averages(study_runs(StudyConfig(work=tmp_path, steps=200)))
    # The student's last step is 1196, of every fourth: no weights of it would be averaged.
    late = StudyConfig(work=tmp_path, changes=("distill.ema_start=1197",))
    with pytest.raises(UsageError, match="hiar-s0: 1200 steps end before the average begins"):
        check_averages(study_runs(late))
    with pytest.raises(UsageError, match="rows"):
        study_runs(StudyConfig(work=tmp_path, changes=("distill.rows=x",)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> StudyConfig:
    """A student, really trained for one step by the command lines of the study."""
    study = StudyConfig(
        work=tmp_path_factory.mktemp("study"), models=(HIAR,), seeds=(0,),
        num_prompts=2, ode_steps=1, steps=1, latent_frames=9, changes=TINY, common=SHORT,
    )  # fmt: skip
    before = signal.getsignal(signal.SIGTERM)
    codes = [main(list(run.argv)) for run in study_runs(study)]
    signal.signal(signal.SIGTERM, before)
    assert codes == [0, 0, 0]
    return study


@pytest.mark.slow
def test_what_is_done_is_not_run_again(finished: StudyConfig) -> None:
    # The trajectories' command looks at its shards itself.
    assert [run.name for run in pending(study_runs(finished))] == ["trajectories"]
    other = study_runs(replace(finished, changes=(*TINY, "distill.learning_rate=1e-5")))
    assert [run.name for run in pending(other)] == ["trajectories", "hiar-s0"]
    longer = study_runs(replace(finished, ode_steps=2))
    assert not is_done(longer[1])


@pytest.mark.slow
def test_trajectories_of_another_study_are_refused(
    finished: StudyConfig, tmp_path: Path, hiar_main: Callable[..., tuple[int, str, str]]
) -> None:
    """Students of 2 trajectories must not pass as those of 3."""
    (run,) = pending(study_runs(replace(finished, num_prompts=3)))
    code, _, err = hiar_main(*run.argv)
    assert code == 2
    assert "was begun with other settings" in err


@pytest.mark.slow
def test_exported_weights_are_the_averaged_student_in_bfloat16(
    finished: StudyConfig, tmp_path: Path
) -> None:
    run = study_runs(finished)[2]
    path = export(run, finished, tmp_path)
    assert path == tmp_path / "transformer" / "diffusion_pytorch_model.safetensors"
    found, trained = load_file(path), load_file(run.out / "student_ema.safetensors")
    assert found.keys() == trained.keys()
    assert all(v.dtype == torch.bfloat16 for v in found.values())
    name = "blocks.0.self_attn.q.weight"
    torch.testing.assert_close(found[name].float(), trained[name], rtol=2**-8, atol=0)
    facts = json.loads((path.parent / "training.json").read_text())
    assert facts["fills"] == ["hiar", "context-output", "fkl-bidirectional-1"]
    assert [point["step"] for point in facts["dynamics"]] == [0, 1]
    assert facts["settings"]["weights"]["teacher"].startswith("sha256 ")
    assert facts["begins_as"]["steps"] == 1
    assert facts["command"].startswith(
        "python scripts/train_tiny.py --study --seeds 0 --prompts 2 --ode-steps 1 --steps 1 --set"
    )
    assert str(finished.work) not in json.dumps(facts)
    assert describe(run, finished)["steps"] == 1


@pytest.mark.slow
def test_a_run_that_fails_lets_the_others_end_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(name: str, *argv: str, needs: tuple[str, ...] = ()) -> StudyRun:
        return StudyRun(name=name, argv=argv, out=tmp_path / name, needs=needs)

    runs = [
        run("bad", "train", "--config", "none.toml"), run("needs-bad", "--help", needs=("bad",)),
        run("good", "--help"), run("after", "--help", needs=("good",)),
    ]  # fmt: skip
    with pytest.raises(UsageError, match=r"bad failed .*no config 'none.toml'"):
        run_study_jobs(runs, tmp_path, jobs=2)
    said = capsys.readouterr().err
    assert "after: done" in said
    assert "needs-bad: not run" in said


def test_an_estimate_adds_up() -> None:
    shared = [
        RunEstimate(name=name, steps=900, step_s=1.0, is_shared=True)
        for name in ("trajectories", "ode")
    ]
    rows = [RunEstimate(name=f"m{i}", steps=800, step_s=2.0, samples_s=200.0) for i in range(4)]
    # 2 x 900 s, then 4 x 1800 s on two processes: 1.5 h; 2.5 h of work.
    assert format_estimate([*shared, *rows], 2).endswith(
        "1.50 h with 2 processes, a core each; 2.50 h of processor time\n"
    )


def train_tiny(*arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/train_tiny.py", *arguments],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_wrong_use_of_the_script_is_one_line(tmp_path: Path) -> None:
    assert train_tiny("--study", "--work", tmp_path, "--steps", "0") == (
        2, "train_tiny.py: study steps 0 must be at least 1\n",
    )  # fmt: skip


@pytest.mark.slow
def test_a_work_folder_is_one_process_s(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, err = train_tiny("--study", "--work", tmp_path)
    assert code == 2
    assert "another train_tiny.py works there" in err


def test_strips_are_one_pass_under_each_attention(
    hiar_main: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    """The files of Fig. 5, and the maths beside a pass written out."""
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red disc moves left over a grey background, still\n")
    code, _, err = hiar_main(
        "strips", "--prompts", prompts, "--out", tmp_path / "out", "--latent-frames", 6
    )
    assert code == 0, err
    record = json.loads((tmp_path / "out/strips.json").read_text())
    check_record(record)
    (clip,) = record["clips"]
    for name in ("bidirectional", "causal"):
        assert len(read_video(tmp_path / "out" / clip[name])) == 21
    assert str(tmp_path) not in json.dumps(record)


@pytest.mark.numerics
def test_denoising_once_is_noise_less_the_flow() -> None:
    """At sigma 1, x0 = noise - flow; the first block of the causal pass sees no later frame."""

    torch.manual_seed(0)
    model = random_network(WanConfig.tiny(), 0)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.normal_(std=0.1)
    noise, text = torch.randn(1, 6, 16, 6, 6), torch.randn(1, 96, 64)
    found = denoise_once(model, noise, text, "bidirectional")
    flow = model(noise, torch.tensor([1000.0]), text)
    torch.testing.assert_close(found, noise - flow, rtol=1e-5, atol=1e-5)
    other = noise.clone()
    other[:, 3:] += 1
    causal = [denoise_once(model, x, text, "block_causal")[:, :3] for x in (noise, other)]
    assert torch.equal(*causal)
    both = [denoise_once(model, x, text, "bidirectional")[:, :3] for x in (noise, other)]
    assert not torch.allclose(*both)
