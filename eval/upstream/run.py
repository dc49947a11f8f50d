"""Measures dimensions, each in a process of its own, on several GPUs at once.

A run folder holds, for each dimension, ``<dimension>_eval_results.json`` in upstream's format and
``<dimension>_run.json``, which says what was measured and how, or why it failed; ``logs`` has what
upstream printed. A dimension whose result still fits its inputs is not measured again.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from threading import Event
from typing import Any

from drift.files import atomic_write_text, dump_json, file_sha256
from eval.protocol.clips import summarise_clips
from eval.protocol.layout import Video, make_view
from eval.protocol.long_tables import table_paths, write_tables
from eval.scores.results import ResultError, record_path, result_path
from eval.upstream.checks import check_answer, count_failures
from eval.upstream.isolated_process import Outcome, run_isolated
from eval.upstream.run_inputs import (
    RunSettings,
    full_info_sha256,
    input_hash,
    read_json,
    set_sha256,
)

SCHEMA = "vbench-run/1"
# Upstream unpickles AMT-S, as torch did before weights_only was its default; no other file is.
# Source: Vchitect/VBench 45e79ec vbench/motion_smoothness.py, weights_only=False.
_PICKLED = {"motion_smoothness": {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}}
# Even when told to use local weights, upstream's DINO loader asks the network for them. Without
# that setting torch.hub finds them in its cache.
_NOT_LOCAL = frozenset({"subject_consistency"})
_TWO_SPEEDS = ("subject_consistency", "background_consistency")


def run_dimensions(
    settings: RunSettings, dimensions: Sequence[str], tell: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Measures what is not measured yet; a dimension that fails does not stop the others.

    Args:
        settings: Settings of the run.
        dimensions: Dimensions to measure.
        tell: Called with one line of text for each thing that is done.

    Returns:
        The record of each dimension, by name.
    """
    records = {name: _finished(settings, name) for name in dimensions}
    for name in dimensions:
        if records[name]:
            tell(f"{name}: there from an earlier run")
    waiting = [name for name in dimensions if not records[name]]
    if waiting and settings.protocol.long:
        failure = _split(settings, tell)
        if failure:
            reason = f"the videos could not be cut into clips: {failure}"
            facts = {"reason": reason, "log": _log("split")}
            return records | {name: _fail(settings, name, 0.0, "cpu", facts) for name in waiting}
    free: Queue[str] = Queue()
    for device in settings.devices:
        free.put(device)
    stop = Event()

    def work(name: str) -> dict[str, Any]:
        device = free.get()
        try:
            tell(f"{name}: running on {_device_words(device)}")
            record = _measure(settings, name, device, stop)
            words = record["reason"] or f"{record['value']:.6f}"
            tell(f"{name}: {record['status']}: {words} ({record['seconds']:.0f} s)")
            return record
        finally:
            free.put(device)

    with ThreadPoolExecutor(len(settings.devices)) as pool:
        futures = {name: pool.submit(work, name) for name in waiting}
        try:
            return records | {name: future.result() for name, future in futures.items()}
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _finished(settings: RunSettings, dimension: str) -> dict[str, Any]:
    """The record of an earlier result if its inputs are unchanged; else an empty dict."""
    record = read_json(record_path(settings.out, dimension))
    result = result_path(settings.out, dimension)
    holds = (
        record.get("status") == "done"
        and result.is_file()
        and record.get("inputs_sha256") == input_hash(settings, dimension)
        and record.get("result_sha256") == file_sha256(result)
    )
    return record if holds else {}


def _split(settings: RunSettings, tell: Callable[[str], None]) -> str:
    """Cuts long videos into clips unless that is done; returns the failure, empty if none."""
    write_tables(_tables(settings))
    view, names = _view(settings, settings.layout.files, "videos")
    done = settings.out / "work" / "clips.json"
    cut = {"videos": [(n, (view / n).stat().st_size, (view / n).stat().st_mtime_ns) for n in names]}
    if done.is_file() and json.loads(done.read_text()) == json.loads(json.dumps(cut)):
        return ""
    done.unlink(missing_ok=True)
    for folder in view.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)  # clips of other videos, or of an interrupted run
    tell(f"cutting {len(names)} videos into clips")
    request = _request(settings, view, "split", "cpu") | {"action": "split"}
    outcome = _call(settings, request, "split", "cpu", None)
    if not outcome.failure:
        atomic_write_text(done, dump_json(cut))
    return outcome.failure


def _measure(settings: RunSettings, dimension: str, device: str, stop: Event) -> dict[str, Any]:
    for path in (result_path(settings.out, dimension), record_path(settings.out, dimension)):
        path.unlink(missing_ok=True)  # an old record must not vouch for new videos
    videos = settings.layout.videos[dimension]
    if settings.protocol.long:
        view, names = _view(settings, settings.layout.files, "videos")
        wanted = {video.name for video in videos}
        names = {shown: name for shown, name in names.items() if name in wanted}
        for folder in view.glob(f"{dimension}_cat_firstframes_videos"):
            shutil.rmtree(folder)  # upstream would take an incomplete one for complete
    else:
        view, names = _view(settings, videos, dimension)
    request = _request(settings, view, dimension, device)
    inputs = input_hash(settings, dimension)
    outcome = _call(settings, request, dimension, device, stop)
    if outcome.failure:
        facts = {"reason": outcome.failure}
        return _fail(settings, dimension, outcome.seconds, device, facts)
    try:
        entry = check_answer(dimension, outcome.answer, names, long=settings.protocol.long)
    except ResultError as error:
        facts = {"reason": str(error)}
        return _fail(settings, dimension, outcome.seconds, device, facts)
    return save_result(settings, dimension, entry, inputs, outcome.seconds, device)


def _view(settings: RunSettings, videos: Sequence[Video], name: str) -> tuple[Path, dict[str, str]]:
    """Makes a folder of links for upstream; also returns each video's own name by its link's name.

    Links to own videos have names without ``_``, because VBench-Long cuts names off there.
    """
    if settings.protocol.suite:
        shown = {video.path: video.name for video in videos}
    else:
        shown = {
            video.path: f"video{index:05d}-0{video.path.suffix.lower()}"
            for index, video in enumerate(videos)
        }
    view = make_view(videos, settings.out / "work" / name, shown)
    return view, {shown[video.path]: video.name for video in videos}


def _request(settings: RunSettings, view: Path, dimension: str, device: str) -> dict[str, Any]:
    work = settings.out / "work" / "upstream" / dimension
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    return {
        "action": "evaluate",
        "dimension": dimension,
        "videos": str(view.absolute()),
        "work": str(work.absolute()),
        "suite": str(settings.suite.absolute()) if settings.suite else "",
        "mode": settings.protocol.mode,
        "long": settings.protocol.long,
        "local": dimension not in _NOT_LOCAL,
        "device": "cpu" if device == "cpu" else "cuda",
        "options": dict(_options(settings)),
    }


def _options(settings: RunSettings) -> Iterator[tuple[str, Any]]:
    """Yields upstream's keyword arguments.

    Source: Vchitect/VBench 45e79ec vbench2_beta_long/eval_long.py with --dev_flag, without which
    the long-range half of the consistencies is off.
    """
    yield "imaging_quality_preprocessing_mode", "longer"
    if settings.protocol.long:
        tables = {key: str(path) for key, path in table_paths(_tables(settings)).items()}
        yield "clip_length_config", tables["clip_length"]
        yield "slow_fast_eval_config", tables["fusion"]
        yield "sb_mapping_file_path", tables["subject"]
        yield "bg_mapping_file_path", tables["background"]
        yield "sb_clip2clip_feat_extractor", "dinov2"
        yield "bg_clip2clip_feat_extractor", "dreamsim"
        yield "dev_flag", True
        yield "w_inclip", 1.0  # with dev_flag upstream takes the weights of its table
        yield "w_clip2clip", 0.0
        yield "use_semantic_splitting", False
        yield "static_filter_flag", False
        yield "num_of_samples_per_prompt", settings.samples


def _log(name: str) -> str:
    return f"logs/{name}.log"


def _tables(settings: RunSettings) -> Path:
    return settings.out / "work" / "tables"


def _call(
    settings: RunSettings,
    request: dict[str, Any],
    name: str,
    device: str,
    stop: Event | None,
) -> Outcome:
    return run_isolated(
        settings.environment,
        request,
        log=settings.out / _log(name),
        timeout_s=settings.timeout_s,
        variables={
            "CUDA_VISIBLE_DEVICES": "" if device == "cpu" else device,
            **_PICKLED.get(name, {}),
        },
        stop=stop,
    )


def save_result(
    settings: RunSettings,
    dimension: str,
    entry: list[Any],
    inputs: str,
    seconds: float,
    device: str,
    by: str = "",
) -> dict[str, Any]:
    """Writes a dimension's result and its record, the record last.

    Args:
        settings: Settings of the run.
        dimension: The dimension that was measured.
        entry: The result, [aggregate, per video].
        inputs: ``input_hash`` as it was before the measurement.
        seconds: Duration of the measurement.
        device: Device that was used.
        by: Program that measured it; empty for upstream's code.

    Returns:
        The record.
    """
    path = result_path(settings.out, dimension)
    failed = settings.layout.failed if settings.own_list else ()
    counted = count_failures(entry, len(settings.layout.videos[dimension]), failed)
    atomic_write_text(path, dump_json({dimension: counted}))
    record = _record(settings, dimension, seconds, device) | {
        "status": "done",
        "value": counted[0],
        "value_of_measured": entry[0],
        "entries": len(entry[1]),
        "by": by or f"vbench {settings.versions.get('vbench', 'unknown')}",
        "inputs_sha256": inputs,
        "result_sha256": file_sha256(path),
    }
    if settings.protocol.long and dimension not in _TWO_SPEEDS:
        record["clips"] = summarise_clips(entry[1])
    atomic_write_text(record_path(settings.out, dimension), dump_json(record))
    return record


def _fail(
    settings: RunSettings,
    dimension: str,
    seconds: float,
    device: str,
    facts: Mapping[str, str],
) -> dict[str, Any]:
    result_path(settings.out, dimension).unlink(missing_ok=True)  # it is of an earlier run
    record = _record(settings, dimension, seconds, device) | {"status": "failed", **facts}
    atomic_write_text(record_path(settings.out, dimension), dump_json(record))
    return record


def _record(settings: RunSettings, dimension: str, seconds: float, device: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "dimension": dimension,
        "protocol": settings.protocol.name,
        "status": "",
        "reason": "",
        "value": None,
        "videos": len(settings.layout.videos[dimension]),
        "missing": [p.name for p in settings.layout.problems if p.kind == "missing"],
        "failed": list(settings.layout.failed) if settings.own_list else [],
        "full_info_sha256": full_info_sha256(settings),
        "list_sha256": settings.own_list.sha256 if settings.own_list else None,
        "set_sha256": set_sha256(settings),
        "samples": settings.samples if settings.protocol.suite else None,
        "seconds": round(seconds, 1),
        "log": _log(dimension),
        "device": "cpu" if device == "cpu" else "cuda",
        "packages": dict(settings.versions),
    }


def _device_words(device: str) -> str:
    return device if device == "cpu" else f"GPU {device}"
