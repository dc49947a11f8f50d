"""The pipeline from a folder on disk: loading, calls, streams, first pictures, offloading."""

import importlib.util
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from diffusers.utils import export_to_video
from PIL import Image

from hiar.codecs.frames import fit_picture, fit_video
from hiar.errors import UsageError
from hiar.loading import read_wan_config
from hiar.pipeline import HiARPipeline
from hiar.sampling.config import SamplerConfig

pytestmark = pytest.mark.numerics

Measure = Callable[[torch.Tensor, torch.Tensor], float]
FAST = SamplerConfig(steps=(1000, 500), window=6, order="diagonal")
PROMPT = "a red disc"


@pytest.fixture(scope="module", autouse=True)
def weights_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Embeddings are kept in the weights folder: one of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIAR_WEIGHTS", str(tmp_path_factory.mktemp("weights")))
        yield


@pytest.fixture(scope="module")
def pipeline(model_folder: Path) -> HiARPipeline:
    return HiARPipeline.from_pretrained(model_folder, size_px=(32, 48))


def latents_of(pipeline: HiARPipeline, **settings: Any) -> torch.Tensor:
    found = pipeline(PROMPT, 33, config=FAST, output_type="latent", **settings).frames
    assert isinstance(found, torch.Tensor)
    return found


def test_a_folder_in_diffusers_layout_loads(pipeline: HiARPipeline, model_folder: Path) -> None:
    assert pipeline.name == model_folder.name
    assert pipeline.weights.keys() == {"transformer", "text_encoder", "vae"}
    assert all(len(digest) == 64 for digest in pipeline.weights.values())
    assert (pipeline.fps, pipeline.sampler.window) == (16, 21)


def test_embeddings_come_from_disk(pipeline: HiARPipeline, model_folder: Path) -> None:
    assert pipeline.encode_ahead([PROMPT]) == [4]  # three words and the end
    again = HiARPipeline.from_pretrained(model_folder, size_px=(32, 48))
    first, second = (p.text_encoder.encode([PROMPT]) for p in (pipeline, again))
    assert torch.equal(first, second)
    assert not again.text_encoder.is_loaded  # type: ignore[attr-defined]


def test_output_types_agree(pipeline: HiARPipeline) -> None:
    settings: dict[str, Any] = {"num_frames": 9, "config": FAST, "seed": 4}
    prompts = [PROMPT, "a blue ring"]
    found = {
        kind: pipeline(prompts, **settings, output_type=kind).frames
        for kind in ("np", "pt", "pil", "uint8")
    }
    assert found["np"].shape == (2, 9, 32, 48, 3)
    assert found["np"].dtype == np.float32
    assert found["np"].min() >= 0
    assert found["np"].max() <= 1
    np.testing.assert_array_equal(found["pt"].permute(0, 1, 3, 4, 2).numpy(), found["np"])
    np.testing.assert_array_equal(found["uint8"], (found["np"] * 255).round().astype(np.uint8))
    np.testing.assert_array_equal(np.asarray(found["pil"][1][8]), found["uint8"][1, 8])
    latents = pipeline(prompts, **settings, output_type="latent").frames
    np.testing.assert_array_equal(np.stack(pipeline.decode(latents)), found["uint8"])


def test_diffusers_writes_the_frames(
    pipeline: HiARPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("imageio_ffmpeg") is None:  # diffusers then writes with OpenCV
        monkeypatch.setattr("diffusers.utils.export_utils.is_imageio_available", lambda: False)
    frames = pipeline(PROMPT, 9, config=FAST, seed=1).frames[0]
    path = tmp_path / "clip.mp4"
    export_to_video(frames, str(path), fps=16)
    with av.open(str(path)) as container:
        read = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
    assert read.shape == (9, 32, 48, 3)
    assert np.abs(read / 255 - frames).mean() < 0.1  # the coder's default quality is low


def test_a_stream_is_the_video_chunk_by_chunk(pipeline: HiARPipeline) -> None:
    chunks = list(pipeline.stream(PROMPT, 33, config=FAST, seed=2))
    assert [len(chunk) for chunk in chunks] == [9, 12, 12]
    whole = pipeline(PROMPT, 33, config=FAST, seed=2).frames[0]
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


def test_the_first_frames_need_the_first_block_only(pipeline: HiARPipeline) -> None:
    """The diagonal finishes block 0 in its wave S - 1: cells of blocks 0 .. S - 1 have run."""
    cells: list[tuple[int, int]] = []
    endless = pipeline.stream(
        PROMPT, config=FAST, on_cell=lambda cell, _: cells.append((cell.step, cell.block))
    )
    next(endless)
    assert cells == [(0, 0), (1, 0)]
    assert [len(chunk) for chunk in itertools.islice(endless, 5)] == [12] * 5


def test_the_models_own_order_is_made_one_that_streams(pipeline: HiARPipeline) -> None:
    assert pipeline.sampler.order == "step_first"
    assert len(next(pipeline.stream(PROMPT))) == 9
    with pytest.raises(UsageError, match="diagonal"):
        pipeline.stream(PROMPT, config=SamplerConfig(window=6))


def test_a_step_first_call_equals_a_diagonal_one(pipeline: HiARPipeline) -> None:
    sweep = SamplerConfig(steps=(1000, 500), window=6)
    frames = pipeline(PROMPT, 21, config=sweep, seed=2).frames
    np.testing.assert_array_equal(frames, pipeline(PROMPT, 21, config=FAST, seed=2).frames)


def test_every_step_is_called_back(pipeline: HiARPipeline) -> None:
    seen: list[tuple[int, float, int, int, tuple[int, ...]]] = []

    def callback(pipe: HiARPipeline, index: int, timestep: float, facts: dict[str, Any]) -> None:
        assert pipe is pipeline
        seen.append((index, timestep, facts["step"], facts["block"], facts["latents"].shape))

    pipeline(PROMPT, 21, config=FAST, callback_on_step_end=callback)
    assert [found[0] for found in seen] == list(range(4))
    # Step 500 of the shifted table is 1000 x 5 x 0.5 / (1 + 4 x 0.5).
    assert [round(found[1], 3) for found in seen] == [1000, 833.333, 1000, 833.333]
    assert [found[2:4] for found in seen] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert {found[4] for found in seen} == {(1, 3, 16, 4, 6)}


def test_a_generator_draws_the_seed(pipeline: HiARPipeline) -> None:
    generator = torch.Generator().manual_seed(3)
    first = latents_of(pipeline, generator=generator)
    second = latents_of(pipeline, generator=generator)
    assert not torch.equal(first, second)
    again = latents_of(pipeline, generator=torch.Generator().manual_seed(3))
    assert torch.equal(first, again)


def test_a_negative_prompt_is_said_to_be_unused(pipeline: HiARPipeline) -> None:
    with pytest.warns(UserWarning, match="negative_prompt is not used"):
        negative = latents_of(pipeline, negative_prompt="blurry")
    assert torch.equal(negative, latents_of(pipeline))


def test_a_picture_begins_the_video(pipeline: HiARPipeline, relative_l2: Measure) -> None:
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8)
    )
    encoded = pipeline.encode_initial(image=picture)
    assert encoded is not None
    assert encoded.shape == (1, 1, 16, 4, 6)
    latents = latents_of(pipeline, image=picture)
    assert latents.shape[1] == 10  # 1 given, 3 blocks: 37 frames, of which 33 were asked for
    assert torch.equal(latents[:, :1], encoded)
    assert torch.equal(latents, latents_of(pipeline, initial_latents=encoded))
    assert relative_l2(latents[:, 1:], latents_of(pipeline)[:, :9]) > 1e-3
    frames = pipeline(PROMPT, 33, config=FAST, image=picture).frames
    assert frames.shape[1] == 33
    chunks = list(pipeline.stream(PROMPT, 33, config=FAST, image=picture))
    assert [len(chunk) for chunk in chunks] == [1, 12, 12, 12]
    np.testing.assert_array_equal(np.concatenate(chunks)[:33], frames[0])


def test_a_video_is_continued(pipeline: HiARPipeline) -> None:
    clip = np.random.default_rng(0).integers(0, 255, (11, 32, 48, 3), dtype=np.uint8)
    encoded = pipeline.encode_initial(video=clip)
    assert encoded is not None
    assert encoded.shape[1] == 3  # 9 of the 11 frames: the first two go
    longer = latents_of(pipeline, video=clip)
    assert torch.equal(longer[:, :3], encoded)
    # A video continued from its own latents keeps them; the blocks after them are new.
    first = latents_of(pipeline)
    more = pipeline(PROMPT, 57, config=FAST, output_type="latent", initial_latents=first).frames
    assert more.shape[1] == 15
    assert torch.equal(more[:, :9], first)


def test_offloading_changes_nothing_but_where_networks_wait(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = HiARPipeline.from_pretrained(model_folder, size_px=(32, 48))
    expected = pipeline(PROMPT, 21, config=FAST).frames
    moves: list[tuple[str, str]] = []
    for name, network in (("dit", pipeline.transformer), ("vae", pipeline.autoencoder)):
        monkeypatch.setattr(
            network, "to", lambda device, name=name: moves.append((name, str(device)))
        )
    pipeline.device = torch.device("cpu", 0)  # tells the two places apart
    pipeline.enable_model_cpu_offload()
    found = pipeline(PROMPT, 21, config=FAST).frames
    np.testing.assert_array_equal(found, expected)
    assert moves[:2] == [("dit", "cpu"), ("vae", "cpu")]
    # The transformer works to the end and leaves; then the VAE comes for each block.
    assert moves[2:4] == [("dit", "cpu:0"), ("dit", "cpu")]
    assert moves[4:] == [("vae", "cpu:0"), ("vae", "cpu")] * 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"output_type": "gif"}, "use one of np, pt, pil, uint8, latent"),
        ({"num_frames": 0}, "at least 1"),
        ({"generator": [1]}, "one torch.Generator"),
        ({"image": np.zeros((4, 4)), "video": []}, "both given"),
        ({"video": []}, "no frame"),
        ({"image": np.zeros((4, 4))}, "uint8"),
        ({"initial_latents": torch.zeros(1, 1, 16, 2, 2)}, "initial_latents have shape"),
        ({"initial_latents": torch.full((1, 1, 16, 4, 6), torch.nan)}, "block given: 100%"),
    ],
)
def test_wrong_calls_are_named(
    pipeline: HiARPipeline, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        pipeline(PROMPT, **{"num_frames": 9, "config": FAST} | settings)


def test_unknown_and_missing_models_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIAR_WEIGHTS", str(tmp_path / "weights"))
    with pytest.raises(UsageError, match=r"use tiny, hiar, self-forcing, .* or a folder"):
        HiARPipeline.from_pretrained("wan")
    with pytest.raises(UsageError, match="hiar weights fetch hiar"):
        HiARPipeline.from_pretrained("hiar")
    with pytest.raises(UsageError, match=r"no config .*diffusers' layout"):
        HiARPipeline.from_pretrained(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"num_attention_heads": 2}'])
def test_a_config_of_something_else_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="no config of a Wan transformer"):
        read_wan_config(path)


@pytest.mark.parametrize("size", [(40, 90), (31, 17), (64, 96)])
def test_pictures_are_cut_to_their_middle(size: tuple[int, int]) -> None:
    """A vertical edge in the middle stays in the middle, whatever the shape."""
    picture = np.zeros((*size, 3), dtype=np.uint8)
    picture[:, (size[1] + 1) // 2 :] = 255
    fitted = fit_picture(picture, (32, 48))
    assert fitted.shape == (32, 48, 3)
    assert fitted[:, :22].max() < 30
    assert fitted[:, 26:].min() > 225


def test_a_video_to_continue_keeps_its_end() -> None:
    clip = np.arange(7, dtype=np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2).repeat(3, 3)
    assert [int(frame[0, 0, 0]) for frame in fit_video(clip, (8, 8))] == [2, 3, 4, 5, 6]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_stream_runs_past_1024_latent_frames_in_constant_memory(
    model_folder: Path, live_bytes: Callable[[], int]
) -> None:
    """The release's rotary table ends at 1,024 latent frames; 4,100 frames are four minutes."""
    pipeline = HiARPipeline.from_pretrained(model_folder, size_px=(16, 16))
    config = SamplerConfig(steps=(1000, 500), window=6, order="diagonal", wave_batch=True)
    num_frames, live = 0, {}
    for block, chunk in enumerate(pipeline.stream(PROMPT, config=config, output_type="uint8")):
        num_frames += len(chunk)
        assert chunk.std() > 1  # neither black nor flat
        if block in (60, 344):
            live[block] = live_bytes()
        if block == 344:
            break
    assert num_frames == 4 * (345 * 3 - 1) + 1
    assert live[344] == live[60]
