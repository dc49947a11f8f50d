"""Every cache policy against attention over the whole video, numbered as the releases number it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from hiar.errors import UsageError
from hiar.model import transformer
from hiar.model.transformer import CausalWan
from hiar.sampling.cache_policies.registry import POLICIES, POLICY_NAMES
from hiar.sampling.config import SamplerConfig
from hiar.sampling.graphs import SteadyGraphs
from hiar.sampling.noise import keyed_noise
from hiar.sampling.sampler import sample_latents, stream_latents

pytestmark = pytest.mark.numerics

Draw = Callable[..., torch.Tensor]
Measure = Callable[[torch.Tensor, torch.Tensor], float]
SHAPE, TOKENS = (4, 4, 6), 6
"""Channels, height and width of a latent frame, and its tokens."""
STEPS = (1000, 937.5, 2500 / 3, 625)
NUM_FRAMES = 24
SETTINGS: list[dict[str, Any]] = [
    {},
    {"window": 9},
    {"window": 9, "sink": 3},
    {"window": 9, "sink": 3, "cache": "aligned-sink"},  # LongLive's 12 and 3, smaller
    {"window": 6, "sink": 1, "cache": "aligned-sink"},  # Infinity-RoPE's
    {"window": 7, "sink": 2, "cache": "aligned-sink"},
    {"window": 9, "sink": 3, "cache": "averaged-sink"},  # Reward Forcing's
    {"window": 6, "sink": 3, "cache": "averaged-sink"},
]
each_setting = pytest.mark.parametrize(
    "setting", SETTINGS, ids=lambda s: "-".join(f"{k}={v}" for k, v in s.items()) or "all"
)
moving_only = pytest.mark.parametrize("setting", [s for s in SETTINGS if "cache" in s])


def block_first(setting: dict[str, Any]) -> SamplerConfig:
    return SamplerConfig(order="block_first", context="clean", **setting)


def turn(x_BLNK: torch.Tensor, frames: list[int]) -> torch.Tensor:
    """Add rotary phase of the frame axis to each frame's tokens, in complex128."""
    pairs = torch.view_as_complex(x_BLNK.double().unflatten(-1, (-1, 2)))
    count = pairs.shape[-1] - 2 * (pairs.shape[-1] // 3)
    positions = torch.tensor(frames).repeat_interleave(TOKENS).double()
    angle = positions[:, None] * 10000.0 ** (-torch.arange(count).double() / count)
    phase = torch.ones(len(positions), pairs.shape[-1], dtype=torch.complex128)
    phase[:, :count] = torch.polar(torch.ones_like(angle), angle)
    return torch.view_as_real(pairs * phase[:, None]).flatten(-2)


class WholeVideoByRule:
    """Attention of every block to what its policy shows, from keys without rotary phase."""

    config: SamplerConfig
    average = 0.999

    def __init__(self, **_: Any) -> None:
        """Takes the place of the model's own class, whose arguments it ignores."""

    def attend(self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """The attended values of all blocks, one after the other."""
        del layer
        count = q.shape[1] // TOKENS
        back = [-frame for frame in range(count)]
        q, k, v = turn(q, back), turn(k, back), v.double()
        ends = range(3, count + 1, 3)
        return torch.cat([self._block(end, q, k, v) for end in ends], dim=1).float()

    def _block(self, end: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        sink, window = self.config.sink, self.config.window or end
        oldest = max(sink, end - (window - sink)) if end > window else sink
        seen = [*range(sink), *range(oldest, end)]
        keys, values = self._sink(oldest, k), self._sink(oldest, v)
        recent = slice(oldest * TOKENS, end * TOKENS)
        keys, values = torch.cat((keys, k[:, recent]), 1), torch.cat((values, v[:, recent]), 1)
        positions = list(range(len(seen))) if self.config.cache else seen
        queries = turn(q[:, (end - 3) * TOKENS : end * TOKENS], positions[-3:])
        scores = torch.einsum("blnk,bmnk->bnlm", queries, turn(keys, positions))
        weights = (scores / q.shape[-1] ** 0.5).softmax(-1)
        return torch.einsum("bnlm,bmnk->blnk", weights, values)

    def _sink(self, oldest: int, x: torch.Tensor) -> torch.Tensor:
        """The sink after every block before the oldest visible frame has left the window."""
        size = self.config.sink * TOKENS
        kept = x[:, :size]
        if self.config.cache == "averaged-sink":
            for first in range(size, oldest * TOKENS, size):
                kept = self.average * kept + (1 - self.average) * x[:, first : first + size]
        return kept


def sample_without_cache(
    model: CausalWan, text: torch.Tensor, noise: torch.Tensor, config: SamplerConfig
) -> torch.Tensor:
    """Block after block, each denoised in dense passes over [all blocks before | itself]."""
    done: list[torch.Tensor] = []
    for index, block in enumerate(noise.split(3, dim=1)):
        x = block
        for step, t in enumerate(STEPS):
            latents = torch.cat([*done, x], dim=1)
            timesteps = torch.tensor([[0.0] * 3 * index + [t] * 3])
            x = x - t / 1000 * model(latents, timesteps, text, attention="block_causal")[:, -3:]
            if step < 3:
                sigma = STEPS[step + 1] / 1000
                fresh = keyed_noise((3, *SHAPE), seed=3, prompt_index=0, block=index, step=step + 1)
                x = (1 - sigma) * x + sigma * fresh
        done.append(x)
    return torch.cat(done, dim=1)


@pytest.fixture
def noise() -> torch.Tensor:
    """The keyed noise of one video."""
    blocks = [
        keyed_noise((3, *SHAPE), seed=3, prompt_index=0, block=block, step=0)
        for block in range(NUM_FRAMES // 3)
    ]
    return torch.cat(blocks)[None]


@pytest.mark.parametrize("average", [0.999, 0.5])
@each_setting
@torch.no_grad()
def test_a_policy_equals_a_sampler_without_any_cache(
    small_model: CausalWan,
    draw: Draw,
    noise: torch.Tensor,
    relative_l2: Measure,
    monkeypatch: pytest.MonkeyPatch,
    setting: dict[str, Any],
    average: float,
) -> None:
    config, text = block_first(setting), draw(1, 4, 8)
    if config.policy.average is not None:  # 0.999 alone would hide what little enters the sink
        monkeypatch.setitem(config.policy.__dict__, "average", average)
    found = sample_latents(small_model, text, noise, config, seed=3)
    monkeypatch.setattr(WholeVideoByRule, "config", config, raising=False)
    monkeypatch.setattr(WholeVideoByRule, "average", average)
    monkeypatch.setattr(transformer, "WholeVideo", WholeVideoByRule)
    expected = sample_without_cache(small_model, text, noise, config)
    assert relative_l2(found, expected) <= 1e-5


def test_policies_make_different_videos(
    small_model: CausalWan, draw: Draw, noise: torch.Tensor, relative_l2: Measure
) -> None:
    sizes = {"window": 9, "sink": 3}
    settings: list[dict[str, Any]] = [{}, {"window": 9}]
    settings += [sizes | {"cache": name} for name in ("sink", "aligned-sink", "averaged-sink")]
    assert [block_first(setting).policy.name for setting in settings] == list(POLICY_NAMES)
    videos = [
        sample_latents(small_model, draw(1, 4, 8), noise, block_first(setting), seed=3)
        for setting in settings
    ]
    for index, video in enumerate(videos):
        assert all(relative_l2(video, other) > 1e-4 for other in videos[:index])


@moving_only
def test_nothing_moves_before_the_window_is_full(
    small_model: CausalWan, draw: Draw, noise: torch.Tensor, setting: dict[str, Any]
) -> None:
    short, text = noise[:, :6], draw(1, 4, 8)
    plain = {key: value for key, value in setting.items() if key != "cache"}
    moving, still = (
        sample_latents(small_model, text, short, block_first(each)) for each in (setting, plain)
    )
    assert torch.equal(moving, still)


@moving_only
def test_orders_and_streams_agree(
    small_model: CausalWan, draw: Draw, noise: torch.Tensor, setting: dict[str, Any]
) -> None:
    text = draw(1, 4, 8)
    sweep, diagonal = (
        sample_latents(small_model, text, noise, SamplerConfig(order=order, **setting), seed=3)
        for order in ("step_first", "diagonal")
    )
    assert torch.equal(sweep, diagonal)
    stream = stream_latents(
        small_model, text, SamplerConfig(order="diagonal", **setting), latent_shape=SHAPE, seed=3
    )
    for block, latents in (next(stream) for _ in range(NUM_FRAMES // 3)):
        assert torch.equal(latents, sweep[:, 3 * block : 3 * block + 3])


@moving_only
def test_clean_first_blocks_are_copied_whole(
    small_model: CausalWan, draw: Draw, noise: torch.Tensor, setting: dict[str, Any]
) -> None:
    """Order hybrid begins each step's cache as a copy, of which the sink has one of its own."""
    text, own = draw(1, 4, 8), {"block_first_blocks": 6, "context": "clean"}
    hybrid = SamplerConfig(order="hybrid", **own, **setting)
    found = sample_latents(small_model, text, noise, hybrid, seed=3)
    finished = sample_latents(small_model, text, noise, block_first(setting), seed=3)
    assert torch.equal(found[:, :18], finished[:, :18])
    given = sample_latents(
        small_model, text, noise[:, 18:], SamplerConfig(context="clean", **setting),
        initial_latents=finished[:, :18],
        renoise=lambda step, block: keyed_noise(
            (3, *SHAPE), seed=3, prompt_index=0, block=block + 6, step=step + 1
        )[None],
    )  # fmt: skip
    assert torch.equal(found, given)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"cache": "all", "window": 9}, "'all' has no window"),
        ({"cache": "window"}, "'window' needs a window"),
        ({"cache": "window", "window": 9, "sink": 3}, "'window' has no sink"),
        ({"cache": "aligned-sink", "window": 9}, "'aligned-sink' needs a sink"),
        ({"cache": "averaged-sink", "window": 9, "sink": 2}, "set the sink to 3"),
        ({"cache": "averaged-sink", "window": 10, "sink": 3}, "a multiple of 3"),
        ({"cache": "sinc"}, "'sinc' is unknown: use one of all, window"),
    ],
)
def test_a_wrong_combination_is_named(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        SamplerConfig(**setting)
    assert "\n" not in str(caught.value)


def test_every_policy_has_a_source() -> None:
    assert all(policy.source and policy.summary for policy in POLICIES)
    assert len(set(POLICY_NAMES)) == len(POLICIES)


def test_cuda_graphs_refuse_a_sink_that_moves(
    make_model: Callable[..., CausalWan], draw: Draw, noise: torch.Tensor
) -> None:
    model = make_model()
    model.replayer = SteadyGraphs(model)
    config = block_first({"window": 9, "sink": 3, "cache": "aligned-sink"})
    with pytest.raises(UsageError, match="leave --cuda-graphs out"):
        sample_latents(model, draw(1, 4, 8), noise, config)
