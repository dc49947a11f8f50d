"""The shipped tiny models: small, documented, and able to draw what a prompt says."""

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hiar.config import SamplerConfig, WanConfig
from hiar.pipeline import HiARPipeline
from hiar.prompts import read_prompts
from hiar.tiny import world
from hiar.tiny.preset import ASSETS, HELD_OUT_PROMPTS
from hiar.training.autoencoder import clips_to_tensor
from hiar.vae import load_autoencoder

PARTS = ("text_encoder", "vae", "teacher", "transformer")
BUDGET_BYTES = 24 * 2**20


@pytest.fixture(scope="module")
def pipeline() -> HiARPipeline:
    return HiARPipeline.from_pretrained("tiny")


def test_all_assets_fit_the_budget() -> None:
    assert sum(p.stat().st_size for p in ASSETS.rglob("*") if p.is_file()) <= BUDGET_BYTES


@pytest.mark.parametrize("part", PARTS)
def test_each_says_how_it_was_made(part: str) -> None:
    facts = json.loads((ASSETS / part / "training.json").read_text())
    assert facts["command"].startswith("python scripts/train_tiny.py --stages")
    assert facts["provenance"]["packages"]["torch"]
    losses = [loss for _, loss in facts["loss_curve"]]
    assert np.mean(losses[-3:]) < 0.7 * losses[0]


def test_held_out_prompts_were_never_trained_on() -> None:
    prompts = read_prompts(HELD_OUT_PROMPTS)
    held_out = {scene_from(words).prompt for words in world.all_words() if world.is_held_out(words)}
    assert len(prompts) == len(set(prompts)) >= 8
    assert set(prompts) <= held_out


def test_the_autoencoder_reconstructs_clips_it_never_saw() -> None:
    rng = np.random.default_rng(7)
    clips = [world.render(world.draw_scene(rng, held_out=True), 33) for _ in range(4)]
    video = clips_to_tensor(clips)
    vae = load_autoencoder(ASSETS / "vae")
    error = (vae.decode(vae.encode(video)).clamp(-1, 1) - video).square().mean()
    # The shipped weights reach 34.4 dB on eight other held-out clips of 81 frames.
    assert float(10 * torch.log10(4 / error)) > 32


def test_latents_are_normalised() -> None:
    rng = np.random.default_rng(8)
    clips = [world.render(world.draw_scene(rng), 33) for _ in range(6)]
    latents = load_autoencoder(ASSETS / "vae").encode(clips_to_tensor(clips))
    assert abs(float(latents.mean())) < 0.1
    assert float(latents.std()) == pytest.approx(1, abs=0.15)


def scene_of(prompt: str) -> world.Scene:
    """The scene that a prompt names, unjittered."""
    return next(
        scene for words in world.all_words() if (scene := scene_from(words)).prompt == prompt
    )


def scene_from(words: tuple[str, str, str, str, str, str]) -> world.Scene:
    colour, shape, texture, motion, background, pan = words
    return world.Scene(
        colour=colour, shape=shape, texture=texture, motion=motion, background=background,
        pan=pan, jitter=(0.0,) * 6,
    )  # fmt: skip


def colour_weights(frame: NDArray[np.uint8], scene: world.Scene) -> NDArray[np.float32]:
    """Weight of the shape's colour against the background's at each pixel, 0 to 1.

    Each pixel's chroma (a, b of CIELAB) is projected on the line between the two colours.
    """
    palette = np.array(
        [world.BACKGROUNDS[scene.background], world.COLOURS[scene.colour]], np.float32
    )
    background, colour = cv2.cvtColor(palette[None], cv2.COLOR_RGB2LAB)[0, :, 1:]
    chroma = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 1:]
    line = colour - background
    weights: NDArray[np.float32] = ((chroma - background) @ line / (line @ line)).clip(0, 1)
    return weights


def colour_mass(frame: NDArray[np.uint8], scene: world.Scene) -> float:
    """Mean colour weight. Blur does not change it, unlike the pixels past a threshold."""
    return float(colour_weights(frame, scene).mean())


def silhouette(kind: str) -> NDArray[np.float32]:
    """Colour weights of a shape in the middle of its picture, cut out close to it."""
    scene = scene_from(("red", kind, "plain", "up", "teal", "still"))
    reach = math.ceil(world.RADIUS_PX) + 2
    near = slice(world.SIZE_PX // 2 - reach, world.SIZE_PX // 2 + reach)
    return colour_weights(world.render(scene, 1)[0], scene)[near, near]


def shape_seen(frame: NDArray[np.uint8], scene: world.Scene) -> str:
    """The kind of shape whose silhouette correlates best with the colour weights, at any place."""
    weights = cv2.copyMakeBorder(colour_weights(frame, scene), 8, 8, 8, 8, cv2.BORDER_CONSTANT)
    scores = {
        kind: cv2.matchTemplate(weights, silhouette(kind), cv2.TM_CCOEFF_NORMED).max()
        for kind in world.SHAPES
    }
    return max(scores, key=lambda kind: float(scores[kind]))


def test_shapes_of_the_world_can_be_told() -> None:
    """The detector itself, on pictures that are right."""
    rng = np.random.default_rng(3)
    scenes = [s for _ in range(100) if "spin" not in (s := world.draw_scene(rng)).motion]
    seen = [shape_seen(world.render(scene, 1, first_frame=16)[0], scene) for scene in scenes]
    assert seen == [scene.shape for scene in scenes]


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        SamplerConfig(window=21),
        SamplerConfig(window=21, order="block_first", context="clean"),
    ],
    ids=["step_first", "block_first"],
)
def test_the_first_second_shows_the_prompts_shape_and_colour(
    pipeline: HiARPipeline, config: SamplerConfig
) -> None:
    prompts = read_prompts(HELD_OUT_PROMPTS)
    videos = pipeline(prompts, num_frames=17, config=config, output_type="uint8").frames
    ratios, told = [], []
    for video, prompt in zip(videos, prompts, strict=True):
        scene = scene_of(prompt)
        told.append(shape_seen(video[-1], scene) == scene.shape)
        drawn = world.render(scene, 1, first_frame=16)[0]
        ratios.append(colour_mass(video[-1], scene) / colour_mass(drawn, scene))
    # Half to twice the colour that the scene's own picture has.
    assert all(0.5 < ratio < 2 for ratio in ratios), ratios
    # All eight here; two at a guess. Other builds of torch round otherwise: one may differ.
    assert sum(told) >= 7, dict(zip(prompts, told, strict=True))


def test_the_tiny_transformer_has_the_tiny_sizes(pipeline: HiARPipeline) -> None:
    assert pipeline.transformer.config == WanConfig.tiny()
    assert 1e6 < sum(p.numel() for p in pipeline.transformer.parameters()) < 5e6


def test_assets_hold_nothing_else() -> None:
    names = {path.relative_to(ASSETS).parts[0] for path in ASSETS.rglob("*")}
    assert names == {*PARTS, Path(HELD_OUT_PROMPTS).name}
