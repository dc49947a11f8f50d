import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hiar.tiny.world import (
    BACKGROUNDS,
    COLOURS,
    MOTIONS,
    PANS,
    SHAPES,
    SIZE_PX,
    TEXTURES,
    Scene,
    all_words,
    draw_held_out_prompts,
    draw_scene,
    is_held_out,
    render,
)

pytestmark = pytest.mark.numerics

CHOICES = (tuple(COLOURS), SHAPES, TEXTURES, MOTIONS, tuple(BACKGROUNDS), PANS)


def scene_of(seed: int) -> Scene:
    return draw_scene(np.random.default_rng(seed))


def words_of(scene: Scene) -> tuple[str, str, str, str, str, str]:
    return (
        scene.colour, scene.shape, scene.texture, scene.motion, scene.background, scene.pan,
    )  # fmt: skip


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(0, 60))
def test_a_slice_of_a_clip_is_rendered_alike(seed: int, num_frames: int, first: int) -> None:
    scene = scene_of(seed)
    clip = render(scene, first + num_frames)
    assert clip.shape == (first + num_frames, SIZE_PX, SIZE_PX, 3)
    assert clip.dtype == np.uint8
    part = render(scene, num_frames, first_frame=first)
    assert np.array_equal(part, clip[first:])


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_shape_stays_inside_and_moves(motion: str, shape: str) -> None:
    """Two colours of one scene differ where the shape is, and nowhere else."""
    for seed in range(4):
        scene = replace(scene_of(seed), motion=motion, shape=shape, colour="red")
        red, blue = render(scene, 120), render(replace(scene, colour="blue"), 120)
        inside = (red != blue).any(axis=-1)
        assert inside.reshape(120, -1).any(axis=1).all()
        # The centre keeps radius + 1 px away; the tip of a corner reaches 1.2 radii.
        on_border = inside[:, [0, -1]].sum(axis=(1, 2)) + inside[:, :, [0, -1]].sum(axis=(1, 2))
        assert on_border.max() <= (0 if shape in ("disc", "ring") else 3)
        assert (inside[0] != inside[8]).any()


def test_every_word_changes_the_picture() -> None:
    scene = scene_of(0)
    names = ("colour", "shape", "texture", "motion", "background", "pan")
    for name, choices in zip(names, CHOICES, strict=True):
        clips = [render(replace(scene, **{name: word}), 24) for word in choices]
        for one, other in itertools.combinations(clips, 2):
            assert not np.array_equal(one, other), name


def test_prompts_hold_their_words() -> None:
    for seed in range(50):
        scene = scene_of(seed)
        for word in words_of(scene):
            assert word in scene.prompt


def test_held_out_and_training_words_are_disjoint_and_complete() -> None:
    everything = list(all_words())
    assert len(everything) == len(set(everything)) == 6 * 4 * 3 * 7 * 4 * 3
    held_out = [words for words in everything if is_held_out(words)]
    training = [words for words in everything if not is_held_out(words)]
    assert 0.1 < len(held_out) / len(everything) < 0.15
    for part in (held_out, training):
        for position, choices in enumerate(CHOICES):
            assert {words[position] for words in part} == set(choices)


@pytest.mark.parametrize("held_out", [True, False])
def test_drawn_scenes_keep_to_their_side(held_out: bool) -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        scene = draw_scene(rng, held_out=held_out)
        assert is_held_out(words_of(scene)) == held_out
        assert len(scene.jitter) == 6
        assert all(-1 <= number <= 1 for number in scene.jitter)


def test_held_out_prompts_are_seeded_and_new() -> None:
    prompts = draw_held_out_prompts(20, seed=4)
    assert prompts == draw_held_out_prompts(20, seed=4)
    assert prompts != draw_held_out_prompts(20, seed=5)
    assert len(set(prompts)) == 20
    rng = np.random.default_rng(0)
    assert not set(prompts) & {draw_scene(rng).prompt for _ in range(500)}


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("colour", COLOURS)
def test_saturation_leaves_room_both_ways(colour: str, background: str) -> None:
    """Mean saturation of HSV, (max - min) / max: neither grey nor full, and nothing clips."""
    scene = replace(scene_of(2), colour=colour, background=background, shape="disc")
    clip = render(scene, 4).astype(float)
    saturation = (clip.max(-1) - clip.min(-1)) / clip.max(-1)
    assert 0.03 < saturation.mean() < 0.6
    assert saturation.max() < 0.85
    assert (clip.max(-1) < 255).mean() > 0.95
    assert clip.max(-1).min() > 20
