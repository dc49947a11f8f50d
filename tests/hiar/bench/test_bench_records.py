"""What `hiar bench` does with records: pictures of a run, comparison, prediction; and --decode."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from record_schema import check_record

from hiar.bench.config import BenchConfig
from hiar.bench.end_to_end import UMT5_XXL, WAN_VAE, RandomVae
from hiar.bench.orders import run_bench
from hiar.bench.prediction.forecast import forecast, machine_of, pass_times
from hiar.bench.records import BenchRecord, compare, read_record, record_of
from hiar.bench.rows import Row
from hiar.errors import UsageError
from hiar.runtime.progress import Progress
from hiar.weights.releases import UMT5_XXL_ENCODER_PARAMETERS

pytestmark = pytest.mark.numerics

Main = Callable[..., tuple[int, str, str]]
TINY = ("--config", "tiny", "--random-weights", "--warmup", 0, "--repeats", 1)
BLOCKS = 5
MEASURED = Path(__file__).parents[3] / "reports" / "measured"


def pipelined_row(ranks: int = 1, **change: Any) -> dict[str, Any]:
    """A row whose passes take 2 s each to denoise and 1 s as context, on a GPU each."""
    denoise, context = [2.0] * BLOCKS, [*[1.0] * (BLOCKS - 1), None]
    row: dict[str, Any] = {
        "order": "pipelined", "context": "output", "ranks": ranks, "gpus": ranks, "config": "tiny",
        "dtype": "float32", "backend": "sdpa", "compile": False, "latent_frames": 15, "window": 9,
        "wave_batch": False, "repeats": 3, "passes_per_block": 8, "seconds": 56.0,
        "seconds_range": [55.0, 57.0], "processor_s": None, "throughput_fps": 1.0,
        "latency_s": 12.0, "first_block_s": 8.0, "tflops_per_s": 1.0, "compile_s": None,
        "matmul_peak_tflops_per_s": 2.0, "matmul_peak_share": 0.5, "peak_memory_bytes": 1000,
        "sha256": "aa", "transit_s": 8.0, "wait_share": 0.0, "rank_wait_share": [0.0] * ranks,
        "rank_processor_s": [None] * ranks, "bytes_sent": 0, "rank_bytes_sent": [0] * ranks,
        "rank_peak_memory_bytes": [1000] * ranks, "steps_per_rank": {1: [4], 2: [2, 2]}[ranks],
        "passes": {"seconds": {"denoise": denoise, "context": context}, "processor_s": {}},
        "fused": {"mode": "off", "chosen": False}, "contention": None, "link": None,
        "block_bytes": 1000, "block_tokens": 27, "blocks": BLOCKS,
    }  # fmt: skip
    return row | change


def record(*rows: dict[str, Any], **facts: Any) -> dict[str, Any]:
    about = {"commit": "c0", "device_name": "D", "cores": 2, "packages": {"torch": "2"}}
    return {"schema": "bench/1", "rows": list(rows), "provenance": about | facts}


def read(*rows: dict[str, Any], **facts: Any) -> BenchRecord:
    return record_of(record(*rows, **facts))


def test_a_row_survives_its_record() -> None:
    facts = pipelined_row(2, link={"latency_s": 0.5, "bytes_per_s": 2000.0}) | {
        "contention": {"alone_s": [1.0, 1.0], "together_s": [3.0, 2.0], "factor": 2.5},
        "kernel_floor_s": 1.0, "kernel_floor_processor_s": None, "kernel_ratio": 1.5,
        "kernel_ratio_range": [1.4, 1.6], "kernel_ratio_processor": None, "end_to_end_s": 4.0,
        "end_to_end_fps": 8.0, "first_frame_s": 1.0, "text_s": 2.0, "first_frame_with_text_s": 3.0,
    }  # fmt: skip
    newer = facts | {
        "pixel_frames": 57, "dit_fps": 1.0, "video_fps": 16, "finished_s": [1.0], "card": "D",
        "driver": None, "clocks": None, "kernels": {"attention": "sdpa"}, "options": [],
        "interval_p50_s": 1.0, "interval_p95_s": 2.0, "interval_p99_s": 3.0, "interval_count": 4,
        "deadline_s": 0.75, "deadline_misses": None, "deadline_blocks": 4, "decoder": "vae",
        "overlapped": True, "sampled_s": [1.0], "decoded_s": [2.0],
    }  # fmt: skip
    assert Row.read(newer).facts() == newer
    row = Row.read(facts)
    assert row.facts() == facts
    assert (row.label, row.is_fused) == ("pipelined x2", False)
    del facts["latency_s"]
    with pytest.raises(UsageError, match="'latency_s'"):
        Row.read(facts)


@pytest.mark.parametrize("path", sorted(MEASURED.glob("bench-*.json")), ids=lambda path: path.stem)
def test_published_records_are_read(path: Path) -> None:
    facts = json.loads(path.read_text())["rows"]
    for row, before in zip(read_record(path).rows, facts, strict=True):
        assert row.facts() == {"ranks": 1} | before


def test_the_model_is_checked_against_each_measured_row() -> None:
    """4 steps over 5 blocks: one rank takes 4 (5 x 2 + 4 x 1) s, two ranks 2 (14) s and filling."""
    link = {"latency_s": 0.5, "bytes_per_s": 2000.0}  # a block takes 1 s
    two = pipelined_row(
        2,
        seconds=40.0,
        link=link,
        contention={"alone_s": [1.0, 1.0], "together_s": [1.0, 1.0], "factor": 1.0},
    )
    found = forecast([read(pipelined_row()), read(two)])
    assert found["base"] == "pipelined x1"
    one, both = found["checked"]
    assert (one["seconds"], one["error"]) == (56.0, 0.0)
    # Rank 1 begins after rank 0's two denoising passes and the transfer: 4 + 1 s.
    assert both["seconds"] == 4 + 1 + 28
    assert both["error"] == pytest.approx(33 / 40 - 1)
    assert both["latency_s"] == 2 * (2 + 1)
    predicted = {(each["steps"], each["ranks"]): each["seconds"] for each in found["predicted"]}
    assert predicted[8, 1] == 2 * 56
    assert predicted[2, 2] == 2 + 14
    assert (2, 3) not in predicted
    assert all(each["measured_s"] is None for each in found["predicted"])


def test_ranks_that_decode_are_predicted_where_decoding_is_timed() -> None:
    """Passes of 2 and 1 s: four ranks make a block in 3 s, which takes 6 s to decode on one."""
    assert forecast([read(pipelined_row())])["splits"] == []
    found = {each["label"]: each for each in forecast([read(pipelined_row())], 6.0)["splits"]}
    assert found["4 + 0 + 1"]["clean_block_s"] == found["4 + 0 + 3"]["decoded_block_s"] == 3
    assert found["4 + 0 + 1"]["decoded_block_s"] == 6
    assert found["4 + 1 + 3"]["seconds"] > found["4 + 4 + 3"]["seconds"]
    assert found["4 + 4 + 3"]["ranks"] == 11


@pytest.mark.parametrize("more", [[], ["--model", "record.json"]])
def test_a_time_of_decoding_belongs_to_the_model(
    hiar_main: Callable[..., tuple[int, str, str]], more: list[str]
) -> None:
    seconds = "-1" if more else "1"
    code, _, err = hiar_main("bench", "--decode-s", seconds, *more)
    assert (code, err.count("\n")) == (2, 1)
    assert "--model RECORD" in err


def test_what_ranks_lose_to_one_another_is_taken_out_and_put_back() -> None:
    crowd = {"alone_s": [1.0], "together_s": [3.0], "factor": 3.0}
    facts = pipelined_row(2, gpus=0, contention=crowd)
    row = Row.read(facts)
    assert pass_times(row).denoise_s == [2.0 / 3.0] * BLOCKS
    assert machine_of(row, read(facts)).contention == 3.0
    assert machine_of(row, read(facts)).cores == 2
    # On one core, two ranks lose a factor of 2 by taking turns: the clock of the model has that.
    assert machine_of(row, read(facts, cores=1)).contention == 1.5
    on_gpus = Row.read(pipelined_row(2))
    assert machine_of(on_gpus, read(facts)).cores is None  # a GPU each


def test_a_fused_row_is_predicted_from_its_own_passes() -> None:
    passes = {"denoise": [2.0] + [None] * 4, "fused": [None] + [2.5] * 4}
    fused = pipelined_row(
        seconds=48.0,
        fused={"mode": "on", "chosen": True},
        passes={"seconds": passes, "processor_s": {}},
    )
    checked = forecast([read(pipelined_row(), fused)])["checked"]
    assert checked[1]["label"] == "pipelined fused x1"
    assert checked[1]["seconds"] == 4 * (2 + 4 * 2.5)


def test_records_are_compared_row_by_row() -> None:
    other = pipelined_row(2, seconds=40.0)
    before = read(pipelined_row(), other)
    faster = pipelined_row(
        seconds=28.0, seconds_range=[27.0, 30.0], throughput_fps=2.0, sha256="bb"
    )
    old = deepcopy(faster) | {"order": "step_first"}
    del old["ranks"], old["fused"]  # as older records have it
    pairs, notes = compare(before, read(old, faster, commit="c1"))
    (pair,) = pairs
    assert (pair.ratio("seconds"), pair.ratio("throughput_fps")) == (0.5, 2.0)
    assert pair.is_clear
    assert pair.same_bits is False
    assert [note.split(",")[0] for note in notes] == [
        "only in the first: pipelined x2", "only in the second: step_first x1",
        "commit differs: c0 and c1",
    ]  # fmt: skip
    assert "15 latent frames, window 9" in notes[0]
    (same,) = compare(read(other), read(other))[0]
    assert (same.is_clear, same.same_bits, same.ratio("seconds")) == (False, True, 1.0)
    (single,) = compare(read(old | {"repeats": 1}), read(old))[0]
    assert single.is_clear is None


def write(path: Path, found: object) -> Path:
    path.write_text(json.dumps(found))
    return path


def test_the_commands_read_records(hiar_main: Main, tmp_path: Path) -> None:
    one = write(tmp_path / "one.json", record(pipelined_row()))
    code, printed, err = hiar_main("bench", "--model", one, "--out", tmp_path / "model.json")
    assert (code, err) == (0, "")
    assert "S=8 x4" in printed
    assert json.loads((tmp_path / "model.json").read_text())["base"] == "pipelined x1"
    code, printed, err = hiar_main("bench", "--compare", one, one, "--json")
    assert (code, err) == (0, "")
    assert json.loads(printed)["rows"][0]["ratios"]["seconds"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--out is missing"),
        (("--model", "nowhere.json"), "no record nowhere.json"),
        (("--model", "{other}"), "is no bench/1 record"),
        (("--model", "{empty}"), "no row of order 'pipelined'"),
        (("--model", "{one}", "{longer}"), "latent_frames is 27 in one row and 15 in another"),
        (("--model", "{fused}"), "every row is fused"),
        (("--compare", "{one}"), "expected 2 arguments"),
        (("--compare", "{one}", "{one}", "--model", "{one}"), "not allowed with"),
        (("--timeline", "t.png", "--out", "{out}"), "--timeline and --trace show order pipelined"),
        (("--fused", "on", "--out", "{out}"), "--fused on is for order 'pipelined'"),
        (("--orders", "pipelined", "--fused", "so", "--out", "{out}"), "fused 'so' is unknown"),
        (("--rank-timeout", "0", "--out", "{out}"), "--rank-timeout 0 must be above 0"),
    ],
)
def test_wrong_use_is_one_line(
    hiar_main: Main, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    paths = {
        "one": write(tmp_path / "one.json", record(pipelined_row())),
        "longer": write(tmp_path / "longer.json", record(pipelined_row(2, latent_frames=27))),
        "fused": write(tmp_path / "f.json", record(pipelined_row(fused={"chosen": True}))),
        "empty": write(tmp_path / "empty.json", record()),
        "other": write(tmp_path / "other.json", {"schema": "drift/1"}),
        "out": tmp_path / "out.json",
    }
    code, printed, err = hiar_main("bench", *(word.format(**paths) for word in arguments))
    assert (code, printed, err.count("\n")) == (2, "", 1)
    assert words in err
    assert not paths["out"].exists()


@pytest.mark.slow
def test_a_pipelined_row_with_pictures_timeline_and_trace(hiar_main: Main, tmp_path: Path) -> None:
    out, picture, trace = (tmp_path / name for name in ("b.json", "t.png", "t.json"))
    code, printed, err = hiar_main(
        "bench", *TINY, "--orders", "block_first,pipelined", "--latent-frames", 9, "--fused",
        "auto", "--decode", "--timeline", picture, "--trace", trace, "--out", out,
    )  # fmt: skip
    assert code == 0, err
    assert "first frame" in printed
    block_first, row = json.loads(out.read_text())["rows"]
    check_record(out)
    assert (row["order"], row["ranks"], row["gpus"], row["bytes_sent"]) == ("pipelined", 1, 0, 0)
    choice = row["fused"]
    assert choice["chosen"] == (choice["fused_s"] < choice["apart_s"])
    assert row["passes_per_block"] == (4 if choice["chosen"] else 8)
    assert row["latency_s"] < row["seconds"]
    assert row["transit_s"] <= row["seconds"]
    for each in (block_first, row):
        assert 0 < each["first_frame_s"] < each["end_to_end_s"]
        assert each["end_to_end_fps"] == pytest.approx(33 / each["end_to_end_s"])
        with_text = each["first_frame_s"] + each["text_s"]
        assert each["first_frame_with_text_s"] == pytest.approx(with_text)
    with Image.open(picture) as image:
        assert image.width > 1000
    passes = [e for e in json.loads(trace.read_text())["traceEvents"] if e["ph"] == "X"]
    assert len([e for e in passes if e["cat"] in ("denoise", "fused")]) == 4 * 3


def test_what_was_sampled_is_kept_when_pictures_fail(
    hiar_main: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise UsageError("no memory to decode")

    monkeypatch.setattr("hiar.bench.orders.with_pictures", fail)
    out = tmp_path / "b.json"
    code, _, err = hiar_main(
        "bench", *TINY, "--orders", "block_first", "--latent-frames", 3, "--decode", "--out", out
    )
    assert code == 2
    assert "no memory to decode" in err
    check_record(out)
    (row,) = json.loads(out.read_text())["rows"]
    assert row["seconds"] > 0


def test_unfused_ranks_give_the_bits_of_step_first() -> None:
    """Fusing is off by default, since it rounds in its own way."""
    config = BenchConfig(
        orders=("step_first", "pipelined"), latent_frames=9, warmup=0, repeats=1,
        random_weights=True, checksum=True,
    )  # fmt: skip
    rows = run_bench(config, Progress("test", None))["rows"]
    assert rows[0]["sha256"] == rows[1]["sha256"]
    assert rows[1]["fused"] == {"mode": "off", "chosen": False}


def test_the_decoder_of_the_large_model_is_wans() -> None:
    from diffusers import AutoencoderKLWan

    with torch.device("meta"):
        expected = AutoencoderKLWan().state_dict()
    found = RandomVae(WAN_VAE, torch.device("meta"), torch.float32).state_dict()
    decoding = ("decoder.", "post_quant_conv.")
    assert {name: each.shape for name, each in found.items()} == {
        name: each.shape for name, each in expected.items() if name.startswith(decoding)
    }


def test_the_text_encoder_of_the_large_model_is_umt5_xxl() -> None:
    from transformers import UMT5Config, UMT5EncoderModel

    with torch.device("meta"):
        model = UMT5EncoderModel(UMT5Config(**UMT5_XXL))
    assert sum(p.numel() for p in model.parameters()) == UMT5_XXL_ENCODER_PARAMETERS
