"""Pipelines as real processes: the same bits for any number of them, and clean ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import pytest
from torch.distributed import TCPStore

from hiar.bench.config import BenchConfig
from hiar.bench.orders import run_bench
from hiar.runtime.progress import Progress

pytestmark = pytest.mark.numerics

ROOT = Path(__file__).parents[3]
BENCH = ("bench", "--config", "tiny", "--random-weights", "--warmup", 0, "--repeats", 1)
ENDLESS = """
import sys, torch
from hiar.sampling.pipelined.group import joined_group
from hiar.model.config import WanConfig
from hiar.sampling.config import SamplerConfig
from hiar.sampling.pipelined.stream import stream_pipelined
from hiar.model.transformer import CausalWan

config = WanConfig(dim=16, ffn_dim=16, num_heads=2, num_layers=1, freq_dim=8, text_dim=4,
                   text_len=2, in_channels=4, out_channels=4)
torch.manual_seed(0)
model = CausalWan(config).eval().requires_grad_(False)
with joined_group("cpu", timeout_s=float(sys.argv[1])) as group:
    stream = stream_pipelined(
        model, torch.zeros(1, 1, 4), SamplerConfig(order="diagonal", window=6), group,
        latent_shape=(4, 4, 4),
    )
    for block, _ in stream:
        if group.ranks.is_last:
            print(block, flush=True)
"""


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def torchrun(num_ranks: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={num_ranks}"]
    return subprocess.run(
        [sys.executable, *launch, *map(str, arguments)],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


def own_lines(errors: str) -> list[str]:
    """What our processes say, without what torchrun says about them."""
    return [line for line in errors.splitlines() if line.startswith("hiar: ")]


@pytest.mark.slow
def test_any_number_of_ranks_gives_the_same_bits(tmp_path: Path) -> None:
    config = BenchConfig(
        orders=("step_first", "pipelined"), latent_frames=15, window=9, warmup=0, repeats=1,
        random_weights=True, checksum=True,
    )  # fmt: skip
    alone = run_bench(config, Progress("test", None))["rows"]
    rows: dict[int, dict[str, Any]] = dict(enumerate(alone))  # step_first, and one rank
    for num_ranks in (2, 3, 4):
        out = tmp_path / f"{num_ranks}.json"
        done = torchrun(
            num_ranks, "-m", "hiar", *BENCH, "--orders", "pipelined", "--latent-frames", 15,
            "--window", 9, "--checksum", "--out", out,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (rows[num_ranks],) = json.loads(out.read_text())["rows"]
    assert len({row["sha256"] for row in rows.values()}) == 1
    assert [rows[n]["steps_per_rank"] for n in (1, 2, 3, 4)] == [
        [4], [2, 2], [1, 1, 2], [1, 1, 1, 1],
    ]  # fmt: skip
    block_bytes = 4 * 3 * 16 * 6 * 6  # float32 latents of 3 frames, 16 channels, 6 x 6
    for num_ranks in (1, 2, 3, 4):
        row = rows[num_ranks]
        assert (row["ranks"], row["gpus"], row["passes_per_block"]) == (num_ranks, 0, 8)
        assert row["bytes_sent"] == (num_ranks - 1) * 5 * block_bytes
        assert len(row["rank_wait_share"]) == len(row["rank_peak_memory_bytes"]) == num_ranks


@pytest.mark.slow
def test_wrong_use_is_said_once_and_exit_2(tmp_path: Path) -> None:
    """Ranks that a faulty launch script starts with lengths of their own; too many ranks."""
    script = tmp_path / "start.sh"
    script.write_text(
        f'exec "{sys.executable}" -m hiar bench --config tiny --random-weights '
        f"--orders pipelined --latent-frames $((6 + 3 * RANK)) --out {tmp_path}/bench.json\n"
    )
    done = torchrun(2, "--no-python", "bash", script)
    (line,) = own_lines(done.stderr)
    assert "rank 1 has latent_frames 9, rank 0 has 6" in line
    assert "exitcode  : 2" in done.stderr
    done = torchrun(
        5, "-m", "hiar", *BENCH, "--orders", "pipelined", "--out", tmp_path / "bench.json"
    )
    assert own_lines(done.stderr) == [
        "hiar: 5 ranks for 4 denoising steps: a rank owns at least one step; "
        "start 1 to 4 ranks [hiar-sampling]"
    ]
    assert "exitcode  : 2" in done.stderr
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("bench", "--bogus"), "hiar: unrecognized arguments: --bogus; see hiar --help [options]"),
        (
            ("sample", "--prompts", "/no/such/file", "--out", "out"),
            "hiar: no prompt file /no/such/file: give a text file, one prompt a line [hiar-codecs]",
        ),
        (
            ("sample", "--prompt", "a", "--order", "pipelined", "--out", "{out}"),
            "hiar: 5 ranks for 4 denoising steps: a rank owns at least one step; "
            "start 1 to 4 ranks [hiar-sampling]",
        ),
    ],
)
def test_what_all_ranks_see_one_of_them_says(
    tmp_path: Path, arguments: tuple[str, ...], line: str
) -> None:
    argv = [argument.format(out=tmp_path / "out") for argument in arguments]
    done = torchrun(5, "-m", "hiar", *argv)
    assert own_lines(done.stderr) == [line]
    assert "exitcode  : 2" in done.stderr


@pytest.mark.slow
def test_the_first_rank_keeps_the_store_until_all_have_asked(tmp_path: Path) -> None:
    """Ranks of another launcher than torchrun: the first rank holds the store, and leaves too."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = environment() | {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "3",
    }  # fmt: skip
    shared.pop("TORCHELASTIC_USE_AGENT_STORE", None)
    ranks = [
        subprocess.Popen(
            [
                sys.executable, "-m", "hiar", "sample", "--prompt", "a red disc",
                "--latent-frames", "3", "--seed", str(min(rank, 1)), "--out", str(tmp_path / "out"),
            ],
            cwd=ROOT, env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, text=True,
            stderr=subprocess.PIPE,
        )
        for rank in range(3)
    ]  # fmt: skip
    errors = [rank.communicate(timeout=120)[1] for rank in ranks]
    (line,) = [line for error in errors for line in own_lines(error)]
    assert "rank 1 has seed 1, rank 0 has 0" in line
    assert [rank.returncode for rank in ranks] == [2, 2, 2]


@pytest.fixture
def store() -> TCPStore:
    """Where ranks meet; torchrun's agent holds it, but would also end the ranks when one ends."""
    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def start_ranks(num_ranks: int, store: TCPStore, *argv: str) -> list[subprocess.Popen[str]]:
    world = str(num_ranks)
    shared = environment() | {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "WORLD_SIZE": world,
        "LOCAL_WORLD_SIZE": world, "TORCHELASTIC_USE_AGENT_STORE": "True",
    }  # fmt: skip
    return [
        subprocess.Popen(
            [sys.executable, *argv], cwd=ROOT, text=True,
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in range(num_ranks)
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("blow", "timeout_s", "words"),
    [
        (signal.SIGKILL, 200, "lost rank 1 at block"),
        (signal.SIGSTOP, 6, "heard nothing of rank 1 for 6 s at block"),
    ],
)
def test_a_rank_that_is_killed_or_hangs_ends_the_run(
    store: TCPStore, blow: signal.Signals, timeout_s: int, words: str
) -> None:
    """Soon, with exit code 1, and in one line whoever notices first."""
    ranks = start_ranks(3, store, "-c", ENDLESS, str(timeout_s))
    try:
        blocks: IO[str] | None = ranks[2].stdout
        assert blocks is not None
        assert [int(blocks.readline()) for _ in range(20)] == list(range(20))
        ranks[1].send_signal(blow)
        struck = time.monotonic()
        ends = [ranks[index].communicate(timeout=60) for index in (0, 2)]
        assert time.monotonic() - struck < 40
    finally:
        for rank in ranks:
            rank.kill()
            rank.communicate()
    assert [ranks[index].returncode for index in (0, 2)] == [1, 1]
    errors = ends[0][1] + ends[1][1]
    (line,) = own_lines(errors)
    assert re.search(rf"^hiar: rank [02] {words} \d+", line)
    assert "kept" in line
    assert "Traceback" not in errors
