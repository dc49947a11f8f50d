"""Published facts of models: each has a source, none runs by mistake, the docs hold them all."""

import json
from pathlib import Path

import pytest

from baselines.cli.main import main
from baselines.field.disputes import DISPUTES
from baselines.field.facts import Dispute, Fact, PublishedSpeed
from baselines.field.models import FIELD
from baselines.field.speeds import SPEEDS
from baselines.registry import MODELS, UnknownModelError, find_model

DOCS = (Path(__file__).parents[3] / "docs" / "baselines.md").read_text()
ROWS = [line for line in DOCS.splitlines() if line.startswith("|")]
KEYS = [model.key for model in FIELD]


def test_a_fact_without_a_source_is_refused() -> None:
    with pytest.raises(ValueError, match="source"):
        Fact(value="Apache-2.0")
    with pytest.raises(ValueError, match="source"):
        Fact(source="a README")
    with pytest.raises(ValueError, match="source"):
        PublishedSpeed(model="hiar", fps=30.0, kind="steady", hardware="", source="")
    with pytest.raises(ValueError, match="address"):
        Dispute(model="hiar", what="speed", published="1", measured="2", link="a forum")


def test_each_model_stands_once() -> None:
    keys = [*KEYS, *(spec.key for spec in MODELS)]
    assert len(keys) == len(set(keys))
    assert {speed.model for speed in SPEEDS} <= set(keys)


@pytest.mark.parametrize("key", KEYS)
def test_a_known_model_is_shown_but_not_run(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", key, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["key"] == key
    assert record["why_not"]
    assert main(["show", key]) == 0
    assert "does not run here" in capsys.readouterr().out
    with pytest.raises(UnknownModelError, match="does not run here"):
        find_model(key)
    assert main(["fetch", key]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_training_length_is_shown_or_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", "hiar"])
    assert "trained on: 81 frames, 5.06 s" in capsys.readouterr().out
    main(["show", "ltx-video"])
    assert "trained on: not known" in capsys.readouterr().out
    assert all(spec.trained is None or spec.trained.source for spec in MODELS)


@pytest.mark.parametrize("dispute", DISPUTES, ids=lambda d: f"{d.model}: {d.what[:20]}")
def test_the_docs_hold_both_values_and_the_thread(dispute: Dispute) -> None:
    wanted = (dispute.model, dispute.published, dispute.measured, dispute.link)
    assert any(all(text in row for text in wanted) for row in ROWS)


@pytest.mark.parametrize("speed", SPEEDS, ids=lambda s: f"{s.model} {s.fps:g}")
def test_the_docs_hold_each_speed_with_what_it_counts(speed: PublishedSpeed) -> None:
    cells = (f"`{speed.model}`", f"{speed.fps:g}", speed.kind, speed.hardware, speed.source)
    assert any(all(f"| {cell} |" in row for cell in cells) for row in ROWS)


@pytest.mark.parametrize("key", KEYS)
def test_the_docs_name_each_model(key: str) -> None:
    assert any(f"| `{key}`" in row for row in ROWS)
