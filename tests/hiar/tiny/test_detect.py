"""The tiny world's detectors on pictures that are right, and on pictures that are not."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from hiar.errors import UsageError
from hiar.tiny import world
from hiar.tiny.detect import (
    PromptFollowing,
    colour_seen,
    prompt_following,
    scene_named,
    shape_seen,
)

pytestmark = pytest.mark.numerics


def scenes(count: int) -> list[world.Scene]:
    rng = np.random.default_rng(3)
    return [s for _ in range(count) if "spin" not in (s := world.draw_scene(rng)).motion]


def test_shapes_of_the_world_can_be_told() -> None:
    drawn = scenes(100)
    seen = [shape_seen(world.render(scene, 1, first_frame=16)[0], scene) for scene in drawn]
    assert seen == [scene.shape for scene in drawn]


def test_a_prompt_names_its_scene() -> None:
    for scene in scenes(5):
        named = scene_named(scene.prompt)
        assert named == replace(scene, jitter=named.jitter, look=world.Look())
    with pytest.raises(UsageError, match="no prompt of the tiny world"):
        scene_named("a cat")


def test_right_videos_follow_their_prompts() -> None:
    for scene in scenes(12):
        found = prompt_following(world.render(scene, 65), scene.prompt)
        assert found == PromptFollowing(shape=1, colour=1)
        assert found.mean == 1


def test_every_colour_is_told_from_every_other() -> None:
    for background in world.BACKGROUNDS:
        for colour in world.COLOURS:
            scene = replace(scenes(1)[0], colour=colour, background=background)
            assert colour_seen(world.render(scene, 1)[0], scene) == colour
            for other in world.COLOURS:
                named = replace(scene, colour=other)
                found = prompt_following(world.render(scene, 1), named.prompt).colour
                assert found == (other == colour), (background, colour, other)


def test_a_blurred_colour_keeps_its_name() -> None:
    scene = replace(scenes(1)[0], colour="orange", shape="disc", background="teal")
    blurred = cv2.GaussianBlur(world.render(scene, 1)[0], (0, 0), 3)
    assert colour_seen(blurred, scene) == "orange"
    empty = np.full_like(blurred, [87, 133, 133])  # the background alone
    assert (colour_seen(empty, scene), shape_seen(empty, scene)) == ("", "")


def test_half_a_wrong_video_is_seen() -> None:
    scene = scenes(1)[0]
    other = next(kind for kind in world.SHAPES if kind != scene.shape)
    right = world.render(scene, 32)
    wrong = world.render(replace(scene, shape=other), 32)
    found = prompt_following(np.concatenate([right, wrong]), scene.prompt)
    assert found.shape == 0.5
    grey = np.full_like(right, 128)
    assert prompt_following(np.concatenate([right, grey]), scene.prompt).colour == 0.5
