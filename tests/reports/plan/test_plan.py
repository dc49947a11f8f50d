import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import baselines.cli.main
import drift.cli.main
import eval.cli.main
import hiar.cli.main
from reports.paper.spec import load_preset
from reports.plan.inputs import InputHashes
from reports.plan.jobs import Job
from reports.plan.paths import local_paths
from reports.plan.planning import plan_jobs
from reports.plan.summary import Plan, plan_record, plan_text, summarise
from reports.plan.video_parts import video_parts

PRESETS = ("tiny", "smoke", "quick", "field", "paper")
OUT = Path("/out")


@cache
def jobs_of(name: str) -> tuple[Job, ...]:
    return plan_jobs(load_preset(name), InputHashes())


def plan_of(name: str, missing: dict[str, str] | None = None, done: frozenset[str] = frozenset(),
            gpus: int = 1) -> Plan:  # fmt: skip
    jobs = jobs_of(name)
    states = {job.name: job.name in done for job in jobs}
    return summarise(
        load_preset(name), jobs, states, missing or {}, local_paths(OUT, OUT), gpus=gpus
    )


def test_paper_is_every_model_prompt_and_seed_once() -> None:
    preset = load_preset("paper")
    jobs = jobs_of("paper")
    kinds = Counter(job.kind for job in jobs)
    assert kinds.pop("sample") > 10_000
    # A drift score for each run, and three jobs of VBench; the timed models, and the pipeline.
    num_runs, timing = len(preset.runs), preset.timing
    assert timing is not None
    assert kinds == {
        **dict.fromkeys(("score", "gather", "vbench", "vbench score"), num_runs),
        "time": len(timing.runs), "bench": 1,
    }  # fmt: skip
    assert sum(job.videos for job in jobs) == num_runs * (946 * 5 + 128)
    for run in preset.runs:
        made = Counter(
            (part.sample.prompts.name, part.seed, index)
            for part in video_parts(preset, run)
            for index in range(part.first, part.last)
        )
        assert set(made.values()) == {1}
        assert len(made) == 946 * 5 + 128


def test_names_outputs_and_ids_of_paper_are_unique() -> None:
    jobs = jobs_of("paper")
    for values in (
        [j.name for j in jobs],
        [j.id for j in jobs],
        [o for j in jobs for o in j.outputs],
    ):
        assert len(set(values)) == len(values)


PARSERS = {
    "hiar": hiar.cli.main.build_parser,
    "drift": drift.cli.main.build_parser,
    "baselines": baselines.cli.main.build_parser,
    "eval": eval.cli.main.build_parser,
}


@pytest.mark.parametrize("name", PRESETS)
def test_every_planned_command_is_one_that_the_real_parsers_take(name: str) -> None:
    paths = local_paths(OUT, OUT)
    seen = set()
    for job in jobs_of(name):
        words = job.command(paths)
        assert not [word for word in words if word.startswith("{")]
        module = words.index("-m") + 1
        if words[module] == "torch.distributed.run":
            module = words.index("-m", module) + 1
        shape = (job.kind, job.run, words[module])
        if shape in seen or words[module].startswith("reports."):
            continue
        seen.add(shape)
        PARSERS[words[module]]().parse_args(words[module + 1 :])  # exits on what it does not know


def test_planning_paper_is_cheap() -> None:
    # Processor time and memory of a process of its own, so that nothing else counts.
    code = (
        "import pathlib, resource, sys\n"
        "from reports.cli.main import main\n"
        "assert main(['--dry-run', '--preset', 'paper', '--out', sys.argv[1]]) == 0\n"
        "use = resource.getrusage(resource.RUSAGE_SELF)\n"
        # Not ru_maxrss: a child begins with what its parent held.
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "peak = status.split('VmHWM:')[1].split()[0]\n"
        "print(use.ru_utime + use.ru_stime, peak)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "/no/such/folder"], capture_output=True, text=True, check=True
    )
    seconds, kib = done.stdout.splitlines()[-1].split()
    assert float(seconds) <= 5
    assert float(kib) <= 500 * 1024


def test_hours_are_frames_over_the_sourced_rate() -> None:
    lines = {(line.run, line.kind): line for line in plan_of("paper").lines}
    # MAGI-1: 4,858 videos of 480 frames at 0.19 frames/s, a job each that loads for 60 s.
    assert lines["magi-1-4.5b", "sample"].gpu_s == pytest.approx(4858 * (480 / 0.19 + 60))
    # HiAR: 4,858 of 321 frames; 5 x 48 + 7 jobs; the VAE is counted beside the transformer.
    each = 321 / 10.6 + 321 / 18.4
    assert lines["hiar", "sample"].gpu_s == pytest.approx(4858 * each + 247 * 60)
    # VBench: 12 h for 4,730 videos of 5 s, so 1.83 s a second; four times that at 20 s.
    assert lines["hiar", "vbench"].gpu_s == pytest.approx(4730 * 20 * 1.83 + 60)
    assert plan_of("tiny").gpu_s == 0


def test_field_is_an_evening_of_one_gpu_at_sourced_rates() -> None:
    plan = plan_of("field")
    lines = {(line.run, line.kind): line for line in plan.lines}
    # LongLive: 8 videos of 957 frames at 17 frames/s, decoded at 18.4, in one job.
    assert lines["longlive", "sample"].gpu_s == pytest.approx(8 * 957 * (1 / 17 + 1 / 18.4) + 60)
    # Reward Forcing's longest are 477 frames; HiAR has 8 passes a block where others have 5.
    assert lines["reward-forcing", "sample"].gpu_s == pytest.approx(
        8 * 477 * (1 / 17 + 1 / 18.4) + 60
    )
    assert lines["hiar-60s", "sample"].gpu_s > lines["self-forcing-60s", "sample"].gpu_s
    assert 2 * 3600 < plan.wall_s(1) < 6 * 3600


def test_field_measures_vbench_s_quality_on_its_own_prompts() -> None:
    jobs = {job.name: job for job in jobs_of("field")}
    gather, run = jobs["gather-longlive"], jobs["vbench-longlive"]
    assert "--numbered" in gather.argv
    prompts = "{data}/prompts/moviegen-8.txt"
    assert run.argv[run.argv.index("--custom") + 1] == prompts
    assert run.argv[run.argv.index("--protocol") + 1] == "vbench-long-custom"
    assert len(run.required_outputs) == 7
    assert "--custom" not in jobs_of("paper")[-1].argv


def test_drift_by_length_of_a_run_s_own_videos_makes_no_others() -> None:
    jobs = {job.kind: job for job in jobs_of("field")}
    assert "long sample" not in jobs
    assert "score-longlive" in jobs["lengths"].dependencies
    assert "score-reward-forcing" not in jobs["lengths"].dependencies  # its videos end at 30 s


def test_more_gpus_take_less_time_but_no_less_than_the_longest_job() -> None:
    plan = plan_of("paper")
    times = [plan.wall_s(gpus) for gpus in (4, 8, 64, 10**6)]
    assert times == sorted(times, reverse=True)
    assert times[-1] >= max(job.expected_s for job in plan.jobs if job.gpus)


def test_what_is_missing_is_said_with_the_runs_that_need_it() -> None:
    missing = {"model hiar": "needs weights of HiAR", "vbench": "needs VBench's environment"}
    plan = plan_of("paper", missing)
    runs = plan.missing["needs weights of HiAR"]
    assert "hiar" in runs
    assert "no-fkl" in runs  # trained from it: text encoder and VAE are its own
    assert "self-forcing" not in runs
    assert set(plan.missing["needs VBench's environment"]) == {
        run.name for run in load_preset("paper").runs
    }
    assert 0 < plan.runnable_gpu_s < plan.gpu_s
    lines = {(line.run, line.kind): line for line in plan.lines}
    assert lines["hiar", "score"].missing == ("needs weights of HiAR",)  # it needs the videos


def test_what_is_done_costs_nothing_more() -> None:
    every = frozenset(job.name for job in jobs_of("quick"))
    plan = plan_of("quick", done=every)
    assert plan.gpu_s == plan.cpu_s == 0
    assert f"{len(every)} jobs, {len(every)} done" in plan_text(plan)


@pytest.mark.parametrize("name", PRESETS)
def test_a_plan_is_text_that_fits_and_says_that_it_is_an_estimate(name: str) -> None:
    text = plan_text(plan_of(name, {"model hiar": "needs weights of HiAR"}))
    table = text.split("\n\n")[1].splitlines()
    assert max(map(len, table)) <= 100
    assert "estimates, not measurements; they rest on" in text
    assert ("HiAR Table 1" in text) == (name in ("quick", "field", "paper"))


def test_a_plan_is_also_data() -> None:
    record = plan_record(plan_of("quick"))
    assert record["totals"]["jobs"] == len(record["jobs"]) == len(jobs_of("quick"))
    assert record["totals"]["gpu_hours"] == pytest.approx(plan_of("quick").gpu_s / 3600)
    assert record["jobs"]["sample-hiar-quick-s0-p0000"]["state"] == "run"
