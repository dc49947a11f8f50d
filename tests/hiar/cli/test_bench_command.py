"""`hiar bench` as a real process."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hiar.bench.config import BenchConfig
from hiar.bench.flops import video_flops
from hiar.bench.orders import run_bench
from hiar.bench.video_timing import steady_blocks
from hiar.model.attention import attend
from hiar.model.attention_kernels import KERNELS, AttentionKernel
from hiar.model.config import WanConfig
from hiar.model.geometry import num_frames
from hiar.runtime.progress import Progress
from hiar.runtime.ranks import device_of_rank
from hiar.sampling.config import SamplerConfig
from hiar.sampling.pipelined.group import PipelineGroup

pytestmark = pytest.mark.numerics

Command = Callable[..., subprocess.CompletedProcess[str]]
TINY = ("--config", "tiny", "--random-weights", "--latent-frames", 6)
ONCE = ("--warmup", 0, "--repeats", 1)


@pytest.mark.slow
def test_a_bench_record(hiar_command: Command, tmp_path: Path) -> None:
    out = tmp_path / "new" / "bench.json"
    orders = ["block_first", "step_first", "diagonal"]
    done = hiar_command(
        "bench", *TINY, *ONCE, "--orders", ",".join(orders), "--checksum", "--out", out
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(out.read_text())
    assert record["schema"] == "bench/1"
    assert record["provenance"]["weights"] == {"transformer": "random"}
    assert {"commit", "packages", "device"} <= record["provenance"].keys()
    rows = {row["order"]: row for row in record["rows"]}
    assert list(rows) == orders
    assert [row["passes_per_block"] for row in rows.values()] == [5, 8, 8]
    for order, row in rows.items():
        check_row(row)
        assert order in done.stdout
    assert rows["step_first"]["sha256"] == rows["diagonal"]["sha256"]
    assert rows["step_first"]["sha256"] != rows["block_first"]["sha256"]


def check_row(row: dict[str, Any]) -> None:
    expected = {
        "gpus": 0, "config": "tiny", "dtype": "float32", "backend": "sdpa", "latent_frames": 6,
        "window": 21,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row["throughput_fps"] == pytest.approx(num_frames(6) / row["seconds"])
    assert 0 < row["first_block_s"] <= row["seconds"]
    assert 0 < row["latency_s"] <= row["seconds"]
    assert row["peak_memory_bytes"] > 10**7
    assert row["pixel_frames"] == num_frames(6)
    assert row["dit_fps"] == row["throughput_fps"]
    assert 0 < row["interval_p50_s"] <= row["interval_p95_s"] <= row["interval_p99_s"]
    assert row["interval_p99_s"] <= row["seconds"]
    assert row["deadline_s"] == 12 / 16
    assert row["card"]
    assert row["driver"] is None  # a CPU has none
    assert row["kernels"].keys() == {"attention", "products", "between"}
    ends = row["finished_s"]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(row["seconds"])
    context = "clean" if row["order"] == "block_first" else "output"
    assert row["context"] == context
    sampler = SamplerConfig(order=row["order"], context=context, window=21)
    flops = video_flops(WanConfig.tiny(), sampler, num_blocks=2, frame_tokens=9)
    assert row["tflops_per_s"] == pytest.approx(flops / row["seconds"] / 1e12)


def test_runs_with_one_seed_agree() -> None:
    config = BenchConfig(
        orders=("diagonal",), latent_frames=3, warmup=1, repeats=2, random_weights=True,
        checksum=True,
    )  # fmt: skip
    first, second = (run_bench(config, Progress("test", None))["rows"][0] for _ in range(2))
    assert first["sha256"] == second["sha256"]
    low, high = first["seconds_range"]
    assert low <= first["seconds"] <= high


def test_8_bits_tell_what_they_cost() -> None:
    config = BenchConfig(
        orders=("block_first",), latent_frames=3, warmup=0, repeats=1, random_weights=True,
        dtype="bfloat16", fp8="ffn",
    )  # fmt: skip
    row = run_bench(config, Progress("test", None))["rows"][0]
    assert row["options"] == ("fp8-ffn",)
    assert row["kernels"]["products"] == "bfloat16, ffn e4m3"
    assert row["error_against_plain"].keys() == {"flow", "latents"}
    # Three bits of mantissa: some hundredths a product, of which half the path is a sum.
    assert all(1e-3 < error < 0.3 for error in row["error_against_plain"].values())


def test_another_attention_tells_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inexact kernel stands in for one that needs a GPU."""

    def rounded(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return attend(q.bfloat16().float(), k.bfloat16().float(), v)

    sage = AttentionKernel(make=lambda: rounded, needs_gpu=False, is_exact=False)
    monkeypatch.setitem(KERNELS, "sage", sage)
    config = BenchConfig(
        orders=("block_first",), latent_frames=3, warmup=0, repeats=1, random_weights=True,
        attention="sage",
    )  # fmt: skip
    row = run_bench(config, Progress("test", None))["rows"][0]
    assert all(0 < error < 0.1 for error in row["error_against_plain"].values())


def test_ranks_that_share_a_gpu_take_the_first_one() -> None:
    environment = {"LOCAL_RANK": "2"}
    assert device_of_rank("cuda", environment) == "cuda:2"
    assert device_of_rank("cuda", environment, shared=True) == "cuda:0"
    gpu = torch.device("cuda:0")
    assert PipelineGroup().transport(gpu) == gpu
    assert PipelineGroup(shares_gpu=True).transport(gpu) == torch.device("cpu")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--orders", "step_first,row_first"), "order 'row_first' is unknown"),
        (("--config", "wan-2b"), "config 'wan-2b' is unknown: use one of tiny, bench-cpu"),
        (("--dtype", "int8"), "dtype 'int8' is unknown: use one of float32"),
        (("--latent-frames", "7"), "7 latent frames are not a whole number of blocks"),
        (("--config", "wan-1.3b"), "'wan-1.3b' ships no weights"),
        (("--config", "wan-1.3b", "--weights", "nowhere.pt"), "no weights at nowhere.pt"),
        (("--repeats", "0"), "repeats at least 1"),
        (("--orders", ","), "no order to time"),
        (("--orders", "hybrid"), "order 'hybrid' is unknown"),
        (("--wave-batch",), "--wave-batch batches the waves of order 'diagonal'"),
        (("--attention", "fast"), "attention 'fast' is unknown: use one of sdpa, cudnn"),
        (("--attention", "flash_attn"), "attention 'flash_attn' needs a GPU, not cpu"),
        (("--attention", "cudnn"), "attention 'cudnn' needs a GPU, not cpu"),
        (("--attention", "flash_attn_4"), "attention 'flash_attn_4' needs a GPU, not cpu"),
        (("--attention", "sage"), "attention 'sage' needs a GPU, not cpu"),
        (("--cuda-graphs",), "--cuda-graphs needs a GPU, not cpu"),
        (("--share-gpu", "--orders", "pipelined"), "--share-gpu needs a GPU, not cpu"),
        (("--fp8", "all"), "fp8 'all' is unknown: use one of off, ffn"),
        (("--fp8", "ffn"), "--fp8 ffn replaces bfloat16 products, and the model is float32"),
        (("--decode", "--decoder", "vhs"), "decoder 'vhs' is unknown: use one of vae"),
        (("--window", "2"), "window 2 must hold"),
        (("--latent-frames", "many"), "invalid int value"),
    ],
)
def test_wrong_use_is_one_line(
    hiar_main: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    random = () if "wan-1.3b" in arguments else ("--random-weights",)
    out = tmp_path / "bench.json"
    code, printed, err = hiar_main("bench", *random, *ONCE, "--out", out, *arguments)
    assert (code, printed, err.count("\n")) == (2, "", 1)
    assert words in err
    assert not out.exists()


def test_wrong_use_of_a_real_process_is_exit_2(hiar_command: Command, tmp_path: Path) -> None:
    for arguments, words in (
        (("--orders", "row_first"), "order 'row_first' is unknown"),
        (("--config", "wan-1.3b"), "'wan-1.3b' ships no weights"),
    ):
        done = hiar_command("bench", *arguments, "--out", tmp_path / "bench.json")
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert words in done.stderr


@pytest.mark.parametrize(
    ("window", "blocks", "steady"),
    [
        (21, 15, range(6, 14)),  # the window of 7 blocks is full from block 6 on
        (9, 5, range(2, 4)),
        (None, 15, range(7, 14)),  # never full: the second half
        (21, 4, range(4)),  # too short for a steady block: all
        (7, 5, range(2, 4)),
    ],
)
def test_steady_blocks_see_a_full_window(window: int | None, blocks: int, steady: range) -> None:
    assert steady_blocks(SamplerConfig(window=window), blocks) == steady
