"""CLIP text score: a small CLIP whose answers are known, open_clip's own way, and whole runs."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from metric_tester import MetricTester
from PIL import Image

from drift import ScoreConfig, UsageError, rebuild, score_folder
from drift.metrics.clip_text import SIDE, num_cut, prepare
from drift.metrics.networks.settings import MetricSettings
from drift.metrics.preset import preset_v1
from drift.metrics.registry import METRICS, resolve_metrics
from drift.run.plan import make_plan
from drift.score.prompt_parts import seconds_until_followed

pytestmark = pytest.mark.numerics
open_clip = pytest.importorskip("open_clip")

RANDOM = MetricSettings(random_weights=True)
COLOURS = {"red": (200, 0, 0), "green": (0, 200, 0)}
CONFIG = ScoreConfig(metrics=("clip_text", "saturation"), segments=2)


@pytest.mark.slow
class TestClipText(MetricTester):
    metric = "clip_text"
    prompt = "a cup of coffee"
    rounding = 1e-6


def flat(colour: str) -> np.ndarray:
    return np.full((48, 64, 3), COLOURS[colour], np.uint8)


@pytest.fixture
def small_clip(monkeypatch):
    """A small CLIP with random layers; its last ones send a colour and its name to one vector."""
    vision = {"image_size": SIDE, "layers": 1, "width": 32, "head_width": 16, "patch_size": 32}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    tokenize = open_clip.get_tokenizer("ViT-B-32-quickgelu")
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(0)
        model = open_clip.CLIP(2, vision, text, quick_gelu=True).eval().requires_grad_(False)
        pictures = torch.tensor(np.stack([flat(name) for name in COLOURS])) / 255
        model.visual.proj = model.text_projection = None
        seen = model.encode_image(prepare(pictures.permute(0, 3, 1, 2)))
        read = model.encode_text(tokenize(list(COLOURS)))
    model.visual.proj, model.text_projection = (
        torch.nn.Parameter(torch.linalg.pinv(features.clone()), requires_grad=False)
        for features in (seen, read)
    )
    monkeypatch.setattr("drift.metrics.clip_text.network", lambda *_: (model, tokenize))
    return model


def test_values_and_leads_of_a_clip_that_knows_the_answer(small_clip):
    update = METRICS["clip_text"].new_metric(RANDOM, None, [(0, "red"), (2, "green")])
    colours = ["red", "red", "red", "green", "red", "green"]
    values = update([flat(name) for name in colours[:4]]) + update([flat(n) for n in colours[4:]])
    assert values == pytest.approx([1, 1, 0, 1, 0, 1], abs=1e-4)
    assert update.leads() == pytest.approx([0, 0, -1, 1, -1, 1], abs=1e-4)
    alone = METRICS["clip_text"].new_metric(RANDOM, None, [(0, "red")])
    assert alone([flat("green")]) == pytest.approx([0], abs=1e-4)
    assert alone.leads() == []


def test_agrees_with_open_clip_by_its_own_transform(small_clip, pan):
    frames = pan("astronaut", 3, 120, 200)
    update = METRICS["clip_text"].new_metric(RANDOM, None, [(0, "red")])
    transform = open_clip.image_transform(SIDE, is_train=False)
    pictures = torch.stack([transform(Image.fromarray(frame)) for frame in frames])
    text = open_clip.get_tokenizer("ViT-B-32-quickgelu")(["red"])
    with torch.inference_mode():
        image = small_clip.encode_image(pictures, normalize=True)
        expected = (image @ small_clip.encode_text(text, normalize=True).T)[:, 0]
    # Its transform rounds to 8 bits after the resize.
    assert update(frames) == pytest.approx(expected.tolist(), abs=0.02)


def test_the_shorter_side_is_scaled_and_the_square_inside_taken():
    rows = torch.zeros(1, 3, 448, 896)
    rows[..., :208] = 1  # in the left quarter, which the square inside leaves out
    assert prepare(rows).shape == (1, 3, SIDE, SIDE)
    torch.testing.assert_close(prepare(rows), prepare(torch.zeros(1, 3, 448, 448)))


def followed(leads, schedule=((0.0, "a"), (1.0, "b"), (2.0, "c")), frames=None, num_frames=12):
    return seconds_until_followed(leads, schedule, num_frames=num_frames, fps=4.0, frames=frames)


def test_a_prompt_is_followed_from_the_first_frame_that_stays_nearer_to_it():
    none = [0.0] * 4
    # b leads from its second frame on but falls back at the third; c never leads to its end.
    assert followed([*none, -1, 1, -1, 1, 1, 1, 1, -1]) == [(0.75, 1.0), (None, 1.0)]
    assert followed([*none, 1, 1, 1, 1, -1, -1, 1, 1]) == [(0.0, 1.0), (0.5, 1.0)]
    assert followed([*none, 0, 0, 0, 0, 1, 1, 1, 1]) == [(None, 1.0), (0.0, 1.0)]
    # Every second frame only, so a change is seen at the frame after it.
    assert followed([0, 0, -1, 1, -1, 1], frames=range(0, 12, 2)) == [(0.5, 1.0), (0.5, 1.0)]
    late = ((0.0, "a"), (9.0, "b"))
    assert followed([0.0] * 12, late) == []


@pytest.fixture
def videos(tmp_path, make_video):
    """At 16 frames a second: green at once, green a second late, and red to the end."""
    for name, change in (("soon", 16), ("late", 32), ("never", 48)):
        frames = [flat("red" if index < change else "green") for index in range(48)]
        make_video(tmp_path / "v" / f"{name}.mp4", frames, "libx264rgb", "rgb24")
        prompts = [{"start_s": 0, "prompt": "red"}, {"start_s": 1, "prompt": "green"}]
        (tmp_path / "v" / f"{name}.json").write_text(json.dumps({"prompts": prompts}))
    return tmp_path / "v"


@pytest.mark.parametrize("every", [1, 8])
def test_a_run_says_how_soon_prompts_are_followed(small_clip, videos, tmp_path, every):
    config = ScoreConfig(metrics=CONFIG.metrics, segments=2, every=every)
    run = tmp_path / "run"
    summary = score_folder(videos, out=run, config=config, settings=RANDOM, progress=None).summary
    changes = summary["prompt_changes"]
    delays = {v["path"]: v["clip_text_followed_s"] for v in changes["videos"]}
    assert delays == {"soon.mp4": [0.0], "late.mp4": [1.0], "never.mp4": [None]}
    found = changes["followed"]["clip_text"]
    assert (found["videos"], found["changes"], found["not_within_part"]) == (3, 3, 1)
    # The change that is not followed counts the two seconds of its part.
    assert (found["mean_s"], found["share"]) == (pytest.approx(1.0), pytest.approx(2 / 3))
    levels = [part["metrics"]["clip_text"]["mean"] for part in changes["videos"][0]["parts"]]
    assert levels == pytest.approx([1.0, 0.5], abs=1e-4)  # late.mp4
    entry = summary["metrics"]["clip_text"]
    assert entry["measured"]["frames_per_s"] == [16 / every]
    assert entry["weight"] == 0 and summary["drift_score"]["missing_metrics"]
    table = pd.read_parquet(run / "frames.parquet")
    lead = table[(table["video"] == "soon.mp4") & (table["metric"] == "clip_text_lead")]
    assert lead["frame"].tolist() == list(range(0, 48, every))
    assert rebuild(run).summary == summary
    assert "Seconds until a new prompt is followed" in (run / "report.html").read_text()


def test_other_prompts_are_measured_anew_and_none_is_a_failure(small_clip, videos, tmp_path):
    def run() -> dict:
        arguments = {"out": tmp_path / "run", "config": CONFIG, "settings": RANDOM}
        return score_folder(videos, **arguments, progress=None).summary

    first = run()
    (videos / "soon.json").write_text(json.dumps({"prompt": "red"}))
    (videos / "never.json").unlink()
    second = run()
    assert [(f["path"], f["status"]) for f in second["failed"]] == [("never.mp4", "no_prompt")]
    assert [v["path"] for v in second["prompt_changes"]["videos"]] == ["late.mp4"]
    levels = [s["metrics"]["clip_text"]["segment_means"] for s in (first, second)]
    assert levels[0] != levels[1]
    (videos / "late.json").unlink()
    (videos / "soon.json").unlink()
    assert {f["status"] for f in run()["failed"]} == {"no_prompt"}


def test_long_prompts_are_told(small_clip, videos, tmp_path):
    assert num_cut(["red", "red " * 75, "red " * 76], "vit-b-32") == 1
    (videos / "soon.json").write_text(json.dumps({"prompt": "red " * 76}))
    found = score_folder(
        videos, out=tmp_path / "run", config=CONFIG, settings=RANDOM, progress=None
    )
    line = "clip_text reads the beginning only of 1 of 3 prompts"
    assert line in found.summary["warnings"]


def test_it_is_measured_on_request_only_and_counts_in_no_score():
    assert "clip_text" not in resolve_metrics(["all", "beside"])
    assert resolve_metrics(["clip_text"]) == ("clip_text",)
    assert "clip_text" not in preset_v1().metrics


def test_missing_weights_and_a_missing_package_are_one_clear_error(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"clip_text: .*ViT-B-32\.pt is missing"):
        make_plan(CONFIG, MetricSettings(weights_dir=tmp_path))
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(UsageError, match="pip install open_clip_torch"):
        num_cut(["red"], "vit-b-32")


def test_openai_names_of_tensors_are_those_of_the_network():
    """open_clip builds a network from OpenAI's tensors; its own have the same names and shapes."""
    config = open_clip.get_model_config("ViT-B-32-quickgelu")
    config["vision_cfg"]["layers"] = config["text_cfg"]["layers"] = 1
    model = open_clip.CLIP(**config)
    built = open_clip.openai.build_model_from_openai_state_dict(
        {**model.state_dict(), "input_resolution": 224, "context_length": 77, "vocab_size": 49408}
    )
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (model, built)]
    assert shapes[0] == shapes[1]
