"""`hiar sample` in full: lengths, beginnings, latents, sheets, full disks, several processes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from hiar.codecs.contact_sheet import spread_indices
from hiar.model.geometry import check_num_frames, num_latent_frames
from hiar.runtime.ranks import Ranks
from hiar.sample_folder import batched

pytestmark = pytest.mark.numerics

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[3]
SMALL = ("--size", "16x32", "--window", 6)


@pytest.fixture(scope="module", autouse=True)
def weights_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIAR_WEIGHTS", str(tmp_path_factory.mktemp("weights")))
        yield


@pytest.fixture
def sample(hiar_main: Run, model_folder: Path) -> Run:
    return lambda *arguments: hiar_main("sample", "--model", model_folder, *SMALL, *arguments)


def frames_of(path: Path) -> np.ndarray[Any, Any]:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


@pytest.mark.parametrize(
    ("length", "frames"),
    [
        (("--frames", 21), 21),
        (("--seconds", 1), 21),  # 16 frames need 5 latent ones: 2 blocks
        (("--minutes", 0.02), 21),
        (("--latent-frames", 3), 9),
    ],
)
def test_every_way_to_say_a_length(
    sample: Run, tmp_path: Path, length: tuple[Any, ...], frames: int
) -> None:
    code, _, err = sample(
        "--prompt", "a red disc", "--out", tmp_path, "--order", "diagonal", *length
    )
    assert code == 0, err
    assert len(frames_of(next(tmp_path.glob("*.mp4")))) == frames


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--frames", 100),
            "do not fill whole blocks of 3 latent frames: take 93 or 105",
        ),
        (("--frames", 8), "take 9"),
        (("--latent-frames", 7), "take 6 or 9"),
        (("--seconds", -1), "give one above 0"),
        (("--seconds", "nan"), "give one above 0"),
        (("--block-first-steps", 1), "need --order hybrid"),
        (("--order", "hybrid", "--block-first-steps", 9), "there are 4 steps"),
        (("--order", "step_first", "--wave-batch"), "use order 'diagonal'"),
        (("--window", 2), "window 2 must hold"),
        (("--size", "16"), "write HxW"),
        (("--size", "20x16"), "multiples of 8"),
        (("--size", "8x16"), "does not divide into patches"),
        (("--init-image", "no.png"), "no picture no.png"),
        (("--init-video", "no.mp4"), "no video no.mp4"),
        (("--init-image", __file__), "is no picture"),
        (("--init-video", __file__), "is no video"),
        (("--device", "cuda:77"), "is not here"),
    ],
)
def test_wrong_use_is_one_line(
    sample: Run, tmp_path: Path, arguments: tuple[Any, ...], words: str
) -> None:
    code, out, err = sample("--prompt", "a disc", "--out", tmp_path / "out", *arguments)
    assert (code, out) == (2, "")
    assert words in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("*.mp4"))


def test_lengths_that_fill_blocks() -> None:
    """After F0 given latent frames a video of n blocks of f has 4 (F0 + n f - 1) + 1 frames."""
    assert check_num_frames(321, 3) == 81
    assert check_num_frames(49, 3, initial=1) == 13
    assert num_latent_frames(1, 3, initial=4) == 7
    assert num_latent_frames(41, 3, initial=4) == 13


def test_latents_are_kept_and_decode_to_the_video(
    sample: Run, model_folder: Path, tmp_path: Path
) -> None:
    argv = ("--prompt", "a red disc", "--out", tmp_path, "--frames", 21, "--order", "block_first")
    assert sample(*argv)[0] == 0
    assert sample(*argv, "--save-latents", "--json")[0] == 0  # the latents were missing: made again
    latents = load_file(next(tmp_path.glob("*.safetensors")))["latents"]
    assert (latents.shape, latents.dtype) == ((6, 16, 2, 4), torch.float32)
    from hiar.pipeline import HiARPipeline

    decoded = HiARPipeline.from_pretrained(model_folder).decode(latents[None])[0]
    written = frames_of(next(tmp_path.glob("*.mp4")))
    # Levels of 255: H.264 at CRF 12 with half-resolution colour, of noise, which codes badly.
    assert np.abs(decoded.astype(float) - written).mean() < 25
    code, out, _ = sample(*argv, "--save-latents", "--json")
    assert (code, json.loads(out)["made"]) == (0, 0)


def test_a_picture_and_a_video_to_begin_with(sample: Run, tmp_path: Path) -> None:
    """Image to video, then the video is continued: 1 + 3 latent frames, then 4 + 3."""
    Image.new("RGB", (40, 30), (200, 30, 30)).save(tmp_path / "red.png")
    common = ("--prompt", "a red disc", "--order", "diagonal", "--save-latents")
    first, more = tmp_path / "first", tmp_path / "more"
    code, _, err = sample(
        *common, "--init-image", tmp_path / "red.png", "--frames", 13, "--out", first
    )
    assert code == 0, err
    clip = next(first.glob("*.mp4"))
    assert len(frames_of(clip)) == 13
    sidecar = json.loads(next(first.glob("0*.json")).read_text())
    assert sidecar["beginning"]["path"] == "red.png"
    assert len(sidecar["beginning"]["sha256"]) == 64
    code, _, err = sample(*common, "--init-video", clip, "--frames", 25, "--out", more)
    assert code == 0, err
    assert len(frames_of(next(more.glob("*.mp4")))) == 25
    assert load_file(next(more.glob("*.safetensors")))["latents"].shape[0] == 7
    code, _, err = sample(*common, "--init-video", clip, "--frames", 21, "--out", more)
    assert (code, "take 25" in err) == (2, True)


def test_a_contact_sheet_shows_every_video(sample: Run, tmp_path: Path) -> None:
    code, out, err = sample(
        "--prompt", "a red disc", "--out", tmp_path, "--samples", 2, "--latent-frames", 3,
        "--contact-sheet",
    )  # fmt: skip
    assert code == 0, err
    assert "contact_sheet.png" in out
    with Image.open(tmp_path / "contact_sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("L"))
    # 120 px high tiles of 16 x 32 px videos are 240 px wide: 8 of them, 4 px apart.
    assert pixels.shape[1] == 8 * 240 + 7 * 4 + 2 * 12
    in_tiles = (pixels < 250).mean(axis=1) > 0.5
    assert np.count_nonzero(np.diff(in_tiles.astype(int)) == 1) == 2


@pytest.mark.parametrize(
    ("frames", "count", "indices"),
    [(9, 8, [0, 1, 2, 3, 5, 6, 7, 8]), (3, 8, [0, 1, 2]), (1, 8, [0]), (321, 2, [0, 320])],
)
def test_frames_of_a_sheet_run_from_first_to_last(
    frames: int, count: int, indices: list[int]
) -> None:
    assert spread_indices(frames, count) == indices


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_leaves_nothing(sample: Run, small_disk: Path) -> None:
    code, _, err = sample("--prompt", "a red disc", "--out", small_disk, "--frames", 57)
    assert code == 2
    assert f"writing to {small_disk} failed: No space left on device" in err.splitlines()[-1]
    assert list(small_disk.iterdir()) == []


def test_a_full_gpu_is_one_line(
    sample: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr("hiar.model.transformer.CausalWan.forward_cached", fail)
    code, _, err = sample("--prompt", "a disc", "--out", tmp_path, "--latent-frames", 3)
    assert code == 2
    assert "lower --batch-size or --window" in err.splitlines()[-1]
    assert not list(tmp_path.glob("*.mp4"))


def test_latents_that_are_not_finite_are_named(
    sample: Run, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hiar.model.transformer import CausalWan

    inner = CausalWan.forward_cached

    def overflow(self: CausalWan, *args: Any, **settings: Any) -> Any:
        return inner(self, *args, **settings) / 0

    monkeypatch.setattr(CausalWan, "forward_cached", overflow)
    code, _, err = sample("--prompt", "a disc", "--out", tmp_path, "--latent-frames", 6)
    assert code == 2
    assert "latents of block 0: 100% of the values are not finite" in err.splitlines()[-1]
    assert not list(tmp_path.glob("*.mp4"))


def test_processes_share_batches_that_do_not_depend_on_their_number() -> None:
    items = list(range(11))
    for num_ranks in (1, 2, 3, 20):
        shares = [Ranks(rank=r, num_ranks=num_ranks).share(items) for r in range(num_ranks)]
        assert sorted(sum(shares, [])) == items  # noqa: RUF017
    assert [len(group) for group in batched([], 2)] == []


@pytest.mark.slow
@pytest.mark.timeout(600)  # three Python processes import torch, more or less at once
def test_two_processes_make_what_one_makes(
    hiar_main: Run, one_thread: None, model_folder: Path, tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a red disc\na blue ring\na disc\nred\n")
    common = (
        "sample", "--model", model_folder, *SMALL, "--prompts", prompts, "--latent-frames", 3,
        "--batch-size", 1, "--json", "--out",
    )  # fmt: skip
    code, out, err = hiar_main(*common, tmp_path / "one")
    assert code == 0, err
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*torchrun, "-m", "hiar", *map(str, common), str(tmp_path / "two")],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = [json.loads(text) for text in (out, done.stdout)]  # each printed once
    assert [record["num_ranks"] for record in records] == [1, 2]
    assert [record["made"] for record in records] == [4, 4]
    one, two = (
        {
            path.name: json.loads(path.read_text())["frames_sha256"]
            for path in (tmp_path / name).glob("0*.json")
        }
        for name in ("one", "two")
    )
    assert len(one) == 4
    assert one == two
