"""From the records of videos to the data of a run."""

from collections.abc import Mapping
from dataclasses import asdict

from drift.metrics.preset import Preset
from drift.metrics.registry import METRICS
from drift.provenance import collect_provenance
from drift.record.records import VideoRecord
from drift.record.tables import RunData, VideoRow
from drift.run.plan import Plan
from drift.score.config import ScoreConfig
from drift.score.frozen import is_frozen
from drift.score.score import MIN_FRAMES_PER_SEGMENT, is_too_short
from drift.seams.borders import sidecar_blocks
from drift.video.discover import Discovery, VideoFile

HDR_REMEDY = (
    "levels of a high dynamic range are no levels of a screen's: map the video to SDR, or measure "
    "it as stored with --allow-hdr"
)


def run_data(
    found: Discovery,
    records: Mapping[str, VideoRecord],
    plan: Plan,
    preset: Preset,
    *,
    allow_hdr: bool = False,
) -> RunData:
    """Everything that was measured in a run, with its provenance.

    Args:
        found: Videos of the run.
        records: Path -> record of every video.
        plan: What was measured and how.
        preset: Scales and weights.
        allow_hdr: Score videos of a high dynamic range too.

    Returns:
        The data of the run. A video that is too short for the segments has the status `too_short`,
        one of a high dynamic range the status `hdr` unless it is allowed.
    """
    config = plan.config
    return RunData(
        config=config,
        rows=tuple(
            _row(video, records[video.path], config, allow_hdr=allow_hdr) for video in found.videos
        ),
        passed_over=found.passed_over,
        warnings=found.warnings,
        provenance={
            **collect_provenance(learned=plan.learned),
            **plan.about(),
            "metric_versions": {name: METRICS[name].version for name in config.metrics},
            "config": {
                **asdict(config),
                "metrics": list(config.metrics),
                "blocks": config.blocks and list(config.blocks),
                "variants": {name: config.variant(METRICS[name]).name for name in plan.precision},
            },
        },
        preset=preset,
    )


def _row(
    video: VideoFile, record: VideoRecord, config: ScoreConfig, *, allow_hdr: bool
) -> VideoRow:
    status, reason = record.status, record.reason
    frames, hdr = int(record.media.get("frames", 0)), record.media.get("hdr")
    if status == "ok" and hdr and not allow_hdr:
        status, reason = "hdr", f"{hdr} transfer; {HDR_REMEDY}"
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
        media={**record.media, "sidecar_fps": video.fps} if record.media else {},
        frozen=is_frozen(record.values["difference"], frames, config.segments) if wanted else None,
        blocks=sidecar_blocks(video.told),
        schedule=video.schedule,
        values={metric: record.values[metric] for metric in wanted},
        curves={metric: record.curves[metric] for metric in wanted if metric in record.curves},
        leads={metric: record.leads[metric] for metric in wanted if record.leads.get(metric)},
        frames={metric: list(config.frames_of(metric, frames)) for metric in sampled if wanted},
    )
