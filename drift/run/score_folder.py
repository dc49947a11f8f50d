"""`score_folder` scores folders of videos into a run; `rebuild` scores a run's values anew."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

from drift.errors import UsageError
from drift.files import atomic_write_text, dump_json, remove_leftovers
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.preset import Preset, preset_v1
from drift.metrics.registry import METRICS
from drift.record.records import (
    VideoRecord,
    load_records,
    read_summary,
    save_record,
)
from drift.record.summary import build_summary, score_videos
from drift.record.tables import FRAMES_FILE, RunData, read_frames, write_frames, write_videos
from drift.report.page import render_report
from drift.report.videos import WORST, most_drift_first
from drift.run.executors import Executor, ExecutorName
from drift.run.measure import Measured, Task
from drift.run.plan import Plan, make_plan
from drift.run.progress import Progress
from drift.run.ranks import Ranks, gather, joined, ranks_of_torchrun
from drift.run.run_data import run_data
from drift.score.config import CutPolicy, ScoreConfig
from drift.score.score import VideoScore
from drift.seams.record import seams_of_run
from drift.video.discover import VideoFile, find_videos, printable

ProgressStream: TypeAlias = TextIO | Literal["stderr"] | None


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """A finished run.

    Args:
        out: Folder of the run.
        summary: Content of `summary.json`.
        videos: Scores of the videos of status `ok`.
    """

    out: Path
    summary: dict[str, Any]
    videos: tuple[VideoScore, ...]

    @property
    def failed(self) -> list[dict[str, str]]:
        """Path, status and reason of every video that was not scored."""
        failed: list[dict[str, str]] = self.summary["failed"]
        return failed

    @property
    def drift_score(self) -> float | None:
        """The model score, in [0, 1]; None if no video was scored."""
        value: float | None = self.summary["drift_score"]["value"]
        return value


def score_folder(
    videos: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    config: ScoreConfig | None = None,
    preset: Preset | None = None,
    settings: MetricSettings | None = None,
    recursive: bool = False,
    glob: str | None = None,
    prompts: str | Path | None = None,
    allow_hdr: bool = False,
    workers: int | None = 1,
    executor: ExecutorName = "local",
    ray_address: str | None = None,
    progress: ProgressStream = "stderr",
) -> RunResult:
    """Scores the drift of every video that is named or found; writes a run and returns it.

    Videos measured before in the same run folder (same content, metric and versions) are not
    decoded again. A broken video never stops the others: it stands in `failed`. Under torchrun
    each process measures its share of the videos and the first one writes the results.

    Args:
        videos: One or several folders of videos, video files, or patterns of their names. A folder
            of numbered pictures is one video, at the rate of its sidecar, else of `config.fps`.
        out: Folder of the run; it gets frames.parquet, videos.csv, summary.json, report.html.
        config: Metrics and segments; the fast metrics and five segments by default.
        preset: Scales and weights; preset v1 by default.
        settings: Device, precision, batch and weights folder of the learned metrics.
        recursive: Look in sub-folders too.
        glob: Keep only videos whose name or relative path matches.
        prompts: Table with the columns `file` and `prompt`; None takes a `prompts.csv` that lies
            beside the videos, and sidecars.
        allow_hdr: Score videos of a high dynamic range as they are stored; else they fail.
        workers: Number of processes, which changes no number; None takes one a CPU, as far as
            memory allows. More than one needs `if __name__ == "__main__":` in the calling script.
        executor: `ray` measures each video in a task of a Ray cluster instead of these processes.
        ray_address: Address of a running cluster; None takes RAY_ADDRESS, or starts a cluster.
        progress: Where progress lines go: `stderr`, an open file, or None for nowhere.

    Raises:
        UsageError: there is no video, the run folder cannot be used, or weights are missing.
        WorkerError: a worker process died.
        StorageError: the disk of the run is full.
    """
    config, preset = config or ScoreConfig(), preset or preset_v1()
    preset.check_covers(config.metrics)
    paths, run_folder = _checked_paths(videos, Path(out), workers)
    table = None if prompts is None else Path(prompts)
    found = find_videos(paths, recursive=recursive, glob=glob, prompts=table, skip=run_folder)
    ranks, settings = ranks_of_torchrun(), settings or MetricSettings()
    plan = make_plan(config, replace(settings, device=ranks.device(settings.device)))
    found = replace(found, warnings=(*found.warnings, *_cut_prompts(found.videos, config)))
    place = Executor(name=executor, workers=workers, ray_address=ray_address)
    records = _measure_videos(found.videos, plan, run_folder, place, ranks, progress)
    run = run_data(found, records, plan, preset, allow_hdr=allow_hdr)
    if ranks.is_first:
        write_frames(run_folder / FRAMES_FILE, run)
    return write_results(run, run_folder, write=ranks.is_first)


def rebuild(
    out: str | Path,
    *,
    preset: Preset | None = None,
    cut_policy: CutPolicy | None = None,
    blocks: tuple[int, int] | None = None,
) -> RunResult:
    """Rebuilds videos.csv, summary.json and report.html of a run without decoding.

    Args:
        out: Folder of the run. Its frames.parquet is read, and rewritten if an option changes it.
        preset: Preset to score the run with from now on; None keeps the run's own.
        cut_policy: How to treat scene cuts from now on; None keeps the run's policy.
        blocks: Frames of the first block and of each later one; None keeps those of the run.

    Returns:
        The rebuilt run.

    Raises:
        UsageError: the folder holds no frames.parquet of a run, or the preset does not cover it.
    """
    path = Path(out) / FRAMES_FILE
    old = read_frames(path)
    config = replace(
        old.config,
        cut_policy=cut_policy or old.config.cut_policy,
        blocks=blocks or old.config.blocks,
    )
    run = replace(old, config=config, preset=preset or old.preset)
    run.preset.check_covers(config.metrics)
    if run != old:
        about = {
            **old.provenance["config"],
            "cut_policy": config.cut_policy,
            "blocks": config.blocks and list(config.blocks),
        }
        run = replace(run, provenance={**old.provenance, "config": about})
        write_frames(path, run)
    return write_results(run, Path(out))


def _checked_paths(
    videos: str | Path | Sequence[str | Path], out: Path, workers: int | None
) -> tuple[list[Path], Path]:
    """Checks the arguments and returns the places of videos and the run's folder as paths."""
    given = [videos] if isinstance(videos, str | Path) else videos
    paths = [Path(place) for place in given]
    if not paths:
        raise UsageError("no video given; name at least one, or a folder that holds some")
    if workers is not None and workers < 1:
        raise UsageError(f"workers is {workers}; it must be at least 1")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; give a folder for the run")
    for path in paths:
        if path.resolve() == out.resolve():
            raise UsageError(f"{out} holds the videos; give the run a folder of its own")
    return paths, out


def _cut_prompts(videos: Iterable[VideoFile], config: ScoreConfig) -> list[str]:
    """A line for each metric that reads the beginning of some prompts only."""
    prompts = {prompt for video in videos for _, prompt in video.prompts}
    lines = []
    for spec in (METRICS[name] for name in config.metrics if METRICS[name].needs_prompt):
        num_cut = import_module(f"drift.metrics.{spec.name}").num_cut
        if cut := num_cut(sorted(prompts), config.variant(spec).name):
            lines.append(f"{spec.name} reads the beginning only of {cut} of {len(prompts)} prompts")
    return lines


def _measure_videos(
    videos: Iterable[VideoFile],
    plan: Plan,
    run: Path,
    executor: Executor,
    ranks: Ranks,
    progress: ProgressStream,
) -> dict[str, VideoRecord]:
    """Measures videos and saves each new record of status `ok` as soon as it is there.

    Args:
        videos: Videos of the run; each rank measures its share of them.
        plan: What is measured and how.
        run: Folder of the run, which is made if need be.
        executor: Where videos are measured.
        ranks: This process among those that score the run together.
        progress: Where progress lines go.

    Returns:
        Path -> record of every video, the same in all ranks.
    """
    with joined(ranks):
        if ranks.is_first:
            run.mkdir(parents=True, exist_ok=True)
            remove_leftovers(run, run / "records")
        gather(ranks, None)  # wait until the folder is there
        tasks = [Task.of(video, run, plan) for video in videos]
        mine = ranks.share(tasks)
        stream = sys.stderr if progress == "stderr" else progress
        stream = stream if ranks.is_first else None
        if stream is not None:
            stream.writelines(f"drift: {line}\n" for line in _outdated(run, plan.config.metrics))
        shown = Progress(len(mine), stream)
        records: dict[str, VideoRecord] = {}
        for done in executor.measure(mine, plan, ranks):
            if done.record.status == "ok" and done.decoded_frames:
                save_record(run, done.record)
            # The thumbnails are on disk now; those of all videos would fill the memory.
            records[done.path] = replace(done.record, thumbnails="", picture="")
            shown.step(_describe(done))
        return {path: record for part in gather(ranks, records) for path, record in part.items()}


def _outdated(run: Path, metrics: Iterable[str]) -> list[str]:
    """A line for each metric that a run holds in another version, and so cannot go on from."""
    try:
        measured = read_summary(run)["metrics"]
    except (OSError, ValueError, KeyError):
        return []  # no finished run
    versions = {name: measured.get(name, {}).get("version") for name in metrics}
    return [
        f"{name}: the run holds version {version}, this is version {METRICS[name].version}; every "
        "video is measured again"
        for name, version in versions.items()
        if version not in (None, METRICS[name].version)
    ]


def _describe(done: Measured) -> str:
    name = printable(done.path)
    if done.record.status != "ok":
        return f"{name}: {done.record.status}"
    if not done.decoded_frames:
        return f"{name}: kept from before"
    rate = done.decoded_frames / max(done.seconds, 1e-9)
    digits = 0 if rate >= 10 else 1
    return f"{name}: {done.decoded_frames} frames at {rate:.{digits}f}/s"


def write_results(run: RunData, out: Path, *, write: bool = True) -> RunResult:
    """Scores what was measured and writes videos.csv, summary.json and report.html.

    Args:
        run: Everything that was measured.
        out: Folder of the run.
        write: Whether this process writes; of several only the first one does.
    """
    preset = run.preset
    scores = score_videos(run, preset)
    summary = {**build_summary(run, scores, preset), "seams": seams_of_run(run)}
    if "invalid" in run.provenance:
        summary = {"schema": summary["schema"], "invalid": run.provenance["invalid"], **summary}
    if write:
        write_videos(out / "videos.csv", run, scores)
        contents = {row.path: row.sha256 for row in run.rows}
        fps = run.config.fps
        worst = [contents[score.path] for score in most_drift_first(scores)[:WORST]]
        large = {one.sha256: one.picture for one in load_records(out, worst, fps)}
        thumbnails = {
            one.sha256: one.thumbnails for one in load_records(out, contents.values(), fps)
        }
        page = render_report(run, scores, summary, thumbnails, large)
        atomic_write_text(out / "report.html", page)
        atomic_write_text(out / "summary.json", dump_json(summary))
    return RunResult(out=out, summary=summary, videos=tuple(scores))
