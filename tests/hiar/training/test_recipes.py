import json
import re
from dataclasses import FrozenInstanceError, asdict, replace
from pathlib import Path
from typing import Any

import pytest

from hiar.errors import UsageError
from hiar.runtime.folder_settings import differing, flatten
from hiar.sampling.config import SamplerConfig
from hiar.training.forward_kl import ForwardKLConfig
from hiar.training.recipes import ABLATIONS, RECIPES, DistillConfig, ablation, recipe

ROOT = Path(__file__).parents[3]
PAPER_NUMBERS = ROOT / "reports" / "paper" / "paper_numbers.json"
DIFFERENCES = ROOT / "docs" / "differences.md"


def changed(old: DistillConfig, new: DistillConfig) -> set[str]:
    return {phrase.split()[0] for phrase in differing(asdict(old), asdict(new))}


def test_the_docs_mark_where_paper_and_release_part() -> None:
    """A bold row of docs/differences.md a setting; everything else is common."""
    rows = [line.split("|") for line in DIFFERENCES.read_text().splitlines()]
    bold = [row[4] for row in rows if len(row) > 4 and row[1].strip().startswith("**")]
    named = {re.findall("`(.*?)`", cell)[0] for cell in bold}
    assert changed(recipe("paper"), recipe("release")) == named
    assert len(named) == 4


@pytest.mark.parametrize("name", RECIPES)
def test_what_the_paper_prints(name: str) -> None:
    """Sec. 4.1, as data beside the published tables."""
    setup = json.loads(PAPER_NUMBERS.read_text())["setup"]
    config = recipe(name)
    assert len(config.sampler.steps) == setup["denoising_steps"]
    assert config.sampler.frames_per_block == setup["frames_per_chunk_latent"]
    assert config.batch_size == setup["total_batch_size"]
    assert config.learning_rate == setup["learning_rate"]
    assert f"{config.generator_every}:1" == setup["critic_to_generator"]
    assert config.forward_kl is not None
    assert config.forward_kl.steps == setup["fkl_first_steps_K"]
    assert config.forward_kl.weight == setup["fkl_lambda"]


def test_every_trained_row_of_tables_2_and_3_has_a_config_and_causvid() -> None:
    numbers = json.loads(PAPER_NUMBERS.read_text())
    rows = {row["config"] for table in ("table2", "table3") for row in numbers[table]["rows"]}
    assert set(ABLATIONS) == (rows - {"no-retraining"}) | {"causvid"}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("context-output", {}),
        ("context-input", {"sampler.context": "input"}),
        ("context-clean", {"sampler.context": "clean"}),
        ("fkl-bidirectional-1", {}),
        ("fkl-causal-1", {"forward_kl.attention": "block_causal"}),
        ("fkl-bidirectional-2", {"forward_kl.steps": 2}),
        ("fkl-bidirectional-4", {"forward_kl.steps": 4}),
    ],
)
def test_a_row_makes_one_change(name: str, fields: dict[str, Any]) -> None:
    base = recipe("paper")
    found = ablation(name, base)
    assert changed(base, found) == set(fields)
    assert fields.items() <= flatten(asdict(found)).items()


@pytest.mark.parametrize("name", RECIPES)
def test_rows_without_the_regulariser(name: str) -> None:
    base = recipe(name)
    assert ablation("no-fkl", base) == replace(base, forward_kl=None)
    self_forcing = ablation("self-forcing", base)
    assert self_forcing.forward_kl is None
    assert self_forcing.noised_clean_context
    assert self_forcing.sampler == SamplerConfig(order="block_first", context="clean")
    # A row that sets the regulariser brings it back.
    again = ablation("fkl-bidirectional-2", self_forcing).forward_kl
    assert again == ForwardKLConfig(steps=2)


def test_settings_are_frozen() -> None:
    config: Any = recipe("paper")
    with pytest.raises(FrozenInstanceError):
        config.batch_size = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_exit_step": 4}, r"min_exit_step 4 must lie in \[0, 4\)"),
        ({"forward_kl": ForwardKLConfig(steps=5)}, "forward-KL steps 5: there are 4"),
        ({"generator_every": 0}, "generator_every 0"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"micro_batch": 0}, "micro_batch 0"),
        ({"critic_learning_rate": 0.0}, "critic_learning_rate 0.0"),
        ({"clip_norm": -1.0}, "clip_norm -1.0"),
        ({"ema_decay": 1.0}, "ema_decay 1.0"),
        ({"cache_gradient": "leaky"}, "cache_gradient 'leaky' is unknown"),
    ],
)
def test_bad_settings(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(recipe("paper"), **change)


@pytest.mark.parametrize("call", [recipe, lambda name: ablation(name, recipe("paper"))])
def test_unknown_names(call: Any) -> None:
    with pytest.raises(UsageError, match="'ours' is unknown: use one of"):
        call("ours")
