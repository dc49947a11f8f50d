from dataclasses import replace

import pytest

from reports.jobs import InputHashes, Job, plan_jobs, select_jobs, with_ids
from reports.spec import load_preset

HASHES = InputHashes(sample_files={"w": "1"}, hiar_source="2", drift_source="3")


def ids(hashes: InputHashes) -> dict[str, str]:
    return {job.name: job.id for job in plan_jobs(load_preset("tiny"), hashes)}


def changed(hashes: InputHashes) -> set[str]:
    before, after = ids(HASHES), ids(hashes)
    return {name.split("-")[0] for name in before if before[name] != after[name]}


def test_tiny_is_four_samplings_four_scores_and_a_bench() -> None:
    kinds = [job.kind for job in plan_jobs(load_preset("tiny"), HASHES)]
    assert kinds == ["sample"] * 4 + ["score"] * 4 + ["bench"]


def test_ids_are_stable_and_differ() -> None:
    assert ids(HASHES) == ids(HASHES)
    assert len(set(ids(HASHES).values())) == 9


def test_new_weights_or_hiar_source_change_everything() -> None:
    # The scores change through the ids of the samplings that they need.
    for hashes in (replace(HASHES, sample_files={"w": "9"}), replace(HASHES, hiar_source="9")):
        assert changed(hashes) == {"sample", "score", "bench"}


def test_new_drift_source_changes_scores_alone() -> None:
    assert changed(replace(HASHES, drift_source="9")) == {"score"}


def test_new_argv_changes_the_id() -> None:
    preset = load_preset("tiny")
    other = replace(preset, sample=replace(preset.sample, seed=1))
    before, after = plan_jobs(preset, HASHES), plan_jobs(other, HASHES)
    assert before[0].id != after[0].id
    assert before[-1].id == after[-1].id


def job(name: str, *needs: str) -> Job:
    return Job(name=name, kind="x", argv=(name,), outputs=(), proofs=(), needs=needs)


def test_order_follows_needs() -> None:
    names = [j.name for j in with_ids([job("c", "b"), job("b", "a"), job("a")])]
    assert names == ["a", "b", "c"]


def test_cycle_and_unknown_need_are_refused() -> None:
    with pytest.raises(ValueError, match="a, b"):
        with_ids([job("a", "b"), job("b", "a")])
    with pytest.raises(ValueError, match="not there"):
        with_ids([job("a", "z")])


def test_selection_takes_what_is_needed_and_no_more() -> None:
    jobs = with_ids([job("a"), job("b", "a"), job("c", "b"), job("d", "a")])
    assert [j.name for j in select_jobs(jobs, ["c"])] == ["a", "b", "c"]


def test_command_fills_in_places_and_leaves_other_braces() -> None:
    one = Job(name="a", kind="x", argv=("{python}", "{out}/v", "{x}"), outputs=(), proofs=())
    assert one.command({"python": "py", "out": "/o"}) == ["py", "/o/v", "{x}"]
