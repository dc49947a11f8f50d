"""`score_folder`: from folders of videos to a run, and rebuilding one from its values."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

from drift.errors import UsageError
from drift.files import atomic_write_text, dump_json, remove_stale_temporaries
from drift.metrics.preset import Preset, preset_v1
from drift.metrics.registry import METRICS
from drift.metrics.settings import MetricSettings
from drift.provenance import collect_provenance
from drift.record.records import VideoRecord, load_thumbnails, save_record
from drift.record.summary import build_summary, score_videos
from drift.record.tables import RunData, VideoRow, read_frames, write_frames, write_videos
from drift.report.page import render_report
from drift.run.measure import Measured, Task
from drift.run.plan import make_plan
from drift.run.pool import default_workers, measure_all
from drift.run.progress import Progress
from drift.run.ranks import Ranks, gather, joined, ranks_of_torchrun
from drift.run.ray_tasks import measure_on_ray
from drift.score.config import CutPolicy, ScoreConfig
from drift.score.score import MIN_FRAMES_PER_SEGMENT, VideoScore, is_too_short
from drift.video.discover import VideoFile, find_videos, printable

Executor: TypeAlias = Literal["local", "ray"]
ProgressStream: TypeAlias = TextIO | Literal["stderr"] | None


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """A finished run.

    Args:
        out: Its folder.
        summary: Content of `summary.json`.
        videos: The scored videos.
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
    folders: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    config: ScoreConfig | None = None,
    preset: Preset | None = None,
    settings: MetricSettings | None = None,
    recursive: bool = False,
    glob: str | None = None,
    workers: int | None = 1,
    executor: Executor = "local",
    ray_address: str | None = None,
    progress: ProgressStream = "stderr",
) -> RunResult:
    """Scores the drift of every video in one or more folders and writes a run.

    Videos measured before in the same run folder (same content, metric and versions) are not
    decoded again. A broken video never stops the others: it stands in `failed`. Under torchrun
    each process measures its share of the videos and the first one writes the results.

    Args:
        folders: A folder or several.
        out: Folder of the run; it gets frames.parquet, videos.csv, summary.json, report.html.
        config: Metrics and segments; the fast metrics and five segments by default.
        preset: Scales and weights; preset v1 by default.
        settings: Device, precision, batch and weights folder of the learned metrics.
        recursive: Look in sub-folders too.
        glob: Keep only videos whose name or relative path matches.
        workers: Processes; None is one a CPU, as far as memory allows. More than one needs the
            usual `if __name__ == "__main__":` guard in the calling script. No number depends on it.
        executor: `ray` measures each video in a task of a Ray cluster instead of these processes.
        ray_address: Of a running cluster; None is RAY_ADDRESS, else one is started here.
        progress: Where progress lines go: `stderr` is what it is at the time; None for none.

    Returns:
        The run.

    Raises:
        UsageError: no video, a folder that is none, a run folder that cannot be used, or weights
            that are missing.
        WorkerError: a worker process died.
        StorageError: the disk of the run is full.
    """
    config, preset = config or ScoreConfig(), preset or preset_v1()
    preset.check_covers(config.metrics)
    given = [folders] if isinstance(folders, str | Path) else folders
    paths, run_folder = [Path(folder) for folder in given], Path(out)
    _check_arguments(paths, run_folder, workers)
    found = find_videos(paths, recursive=recursive, glob=glob, skip=run_folder)
    ranks, settings = ranks_of_torchrun(), settings or MetricSettings()
    plan = make_plan(config, replace(settings, device=ranks.device(settings.device)))
    with joined(ranks):
        if ranks.is_first:
            run_folder.mkdir(parents=True, exist_ok=True)
            remove_stale_temporaries(run_folder)
        gather(ranks, None)  # the folder is ready
        tasks = [Task(path=v.path, file=v.file, run=run_folder, plan=plan) for v in found.videos]
        if executor == "ray":
            measured = measure_on_ray(ranks.share(tasks), ray_address)
        else:
            workers = workers or default_workers(plan, ranks.num_local_ranks)
            measured = measure_all(ranks.share(tasks), workers, ranks.num_local_ranks)
        records = _collect(measured, ranks.share(tasks), ranks, progress)
    run = RunData(
        config=config,
        rows=tuple(_row(video, records[video.path], config) for video in found.videos),
        passed_over=found.passed_over,
        warnings=found.warnings,
        provenance={
            **collect_provenance(learned=plan.learned),
            **plan.about(),
            "config": {
                **asdict(config),
                "metrics": list(config.metrics),
                "variants": {name: config.variant(METRICS[name]).name for name in plan.precision},
            },
        },
        preset=preset,
    )
    if ranks.is_first:
        write_frames(run_folder / "frames.parquet", run)
    return _write_results(run, run_folder, write=ranks.is_first)


def rebuild(
    out: str | Path, *, preset: Preset | None = None, cut_policy: CutPolicy | None = None
) -> RunResult:
    """Rebuilds videos.csv, summary.json and report.html of a run without decoding.

    Args:
        out: Folder of the run; its frames.parquet is read, and changed if the run is scored anew.
        preset: Score the run with this preset from now on; None keeps its own.
        cut_policy: Treat scene cuts this way from now on; None keeps the run's way.

    Returns:
        The run.

    Raises:
        UsageError: the folder holds no frames.parquet of a run, or the preset does not cover it.
    """
    path = Path(out) / "frames.parquet"
    old = read_frames(path)
    config = replace(old.config, cut_policy=cut_policy or old.config.cut_policy)
    run = replace(old, config=config, preset=preset or old.preset)
    run.preset.check_covers(config.metrics)
    if run != old:
        about = {**old.provenance["config"], "cut_policy": config.cut_policy}
        run = replace(run, provenance={**old.provenance, "config": about})
        write_frames(path, run)
    return _write_results(run, Path(out))


def _check_arguments(folders: Sequence[Path], out: Path, workers: int | None) -> None:
    if not folders:
        raise UsageError("no folder given; name at least one folder of videos")
    if workers is not None and workers < 1:
        raise UsageError(f"workers is {workers}; it must be at least 1")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; give a folder for the run")
    for folder in folders:
        if folder.resolve() == out.resolve():
            raise UsageError(f"{out} holds the videos; give the run a folder of its own")


def _collect(
    measured: Iterator[Measured], mine: Sequence[Task], ranks: Ranks, stream: ProgressStream
) -> dict[str, VideoRecord]:
    """Saves what no record held yet, each record as soon as it is there."""
    stream = sys.stderr if stream == "stderr" else stream
    progress = Progress(len(mine), stream if ranks.is_first else None)
    records: dict[str, VideoRecord] = {}
    for done in measured:
        if done.record.status == "ok" and done.decoded_frames:
            save_record(mine[0].run, done.record)
        records[done.path] = replace(done.record, thumbnails="")  # on disk; not held a video
        progress.step(_describe(done))
    return {path: record for part in gather(ranks, records) for path, record in part.items()}


def _describe(done: Measured) -> str:
    name = printable(done.path)
    if done.record.status != "ok":
        return f"{name}: {done.record.status}"
    if not done.decoded_frames:
        return f"{name}: kept from before"
    rate = done.decoded_frames / max(done.seconds, 1e-9)
    digits = 0 if rate >= 10 else 1
    return f"{name}: {done.decoded_frames} frames at {rate:.{digits}f}/s"


def _row(video: VideoFile, record: VideoRecord, config: ScoreConfig) -> VideoRow:
    status, reason = record.status, record.reason
    frames = int(record.media.get("frames", 0))
    if status == "ok" and is_too_short(frames, config.segments):
        need = MIN_FRAMES_PER_SEGMENT * config.segments
        status, reason = "too_short", f"{frames} frames; {config.segments} segments need {need}"
    sampled = [name for name in config.metrics if METRICS[name].sampled and config.every > 1]
    if status == "ok" and sampled and frames < config.every * config.segments:
        need = config.every * config.segments
        rule = f"{config.segments} segments at every {config.every} frames need {need}"
        status, reason = "too_short", f"{frames} frames; {rule}"
    wanted = config.metrics if status == "ok" else ()
    return VideoRow(
        path=video.path,
        prompt=video.prompt,
        status=status,
        reason=reason,
        sha256=record.sha256,
        media=record.media,
        values={metric: record.values[metric] for metric in wanted},
        frames={metric: list(config.frames_of(metric, frames)) for metric in sampled if wanted},
    )


def _write_results(run: RunData, out: Path, *, write: bool = True) -> RunResult:
    preset = run.preset
    scores = score_videos(run, preset)
    summary = build_summary(run, scores, preset)
    if "invalid" in run.provenance:
        summary = {"schema": summary["schema"], "invalid": run.provenance["invalid"], **summary}
    if write:
        write_videos(out / "videos.csv", run, scores)
        pictures = load_thumbnails(out, (row.sha256 for row in run.rows), run.config.fps)
        atomic_write_text(out / "report.html", render_report(run, scores, summary, pictures))
        atomic_write_text(out / "summary.json", dump_json(summary))
    return RunResult(out=out, summary=summary, videos=tuple(scores))
