from collections import Counter
from dataclasses import replace

import pytest

from drift.errors import UsageError
from reports.paper.spec import load_preset
from reports.plan.inputs import InputHashes
from reports.plan.jobs import Job, select_jobs, with_ids
from reports.plan.planning import plan_jobs

HASHES = InputHashes(
    files={"w": "1"},
    prompts={"tiny-heldout": "2"},
    sources={"hiar": "3", "drift": "4"},
    sample_versions={"version of torch": "5"},
)


def ids(hashes: InputHashes) -> dict[str, str]:
    return {job.name: job.id for job in plan_jobs(load_preset("tiny"), hashes)}


def changed(hashes: InputHashes) -> set[str]:
    before, after = ids(HASHES), ids(hashes)
    return {name.split("-")[0] for name in before if before[name] != after[name]}


def test_tiny_samples_and_measures_every_run_once() -> None:
    preset = load_preset("tiny")
    jobs = Counter((job.kind, job.run) for job in plan_jobs(preset, HASHES) if job.run)
    kinds = ("sample", "score", "proxies")
    assert jobs == {(kind, run.name): 1 for kind in kinds for run in preset.runs}
    assert preset.lengths is not None
    names = {job.name for job in plan_jobs(preset, HASHES)}
    assert {f"long-score-{run}" for run in preset.lengths.runs} <= names


def test_ids_are_stable_and_differ() -> None:
    assert ids(HASHES) == ids(HASHES)
    assert len(set(ids(HASHES).values())) == len(ids(HASHES))


def test_new_weights_sources_or_torch_change_everything() -> None:
    # The scores change through the ids of the samplings that they need.
    for hashes in (
        replace(HASHES, files={"w": "9"}),
        replace(HASHES, sources={"hiar": "9", "drift": "4"}),
        replace(HASHES, sample_versions={"version of torch": "9"}),
    ):
        assert changed(hashes) == {
            "sample", "score", "proxies", "bench", "dynamics", "strips", "long", "lengths",
            "mechanism", "students",
        }  # fmt: skip


def test_new_prompts_change_what_reads_them() -> None:
    assert changed(replace(HASHES, prompts={"tiny-heldout": "9"})) == {
        "sample", "score", "proxies", "long", "lengths", "mechanism", "students",
    }  # fmt: skip


def test_new_drift_source_changes_what_is_measured_alone() -> None:
    # The proxies decode with drift and take its intervals, and so may jobs of the spec's own.
    hashes = replace(HASHES, sources={"hiar": "3", "drift": "9"})
    assert changed(hashes) == {
        "score", "proxies", "long", "lengths", "dynamics", "strips", "mechanism", "students",
    }  # fmt: skip
    before, after = ids(HASHES), ids(hashes)
    assert all(before[name] == after[name] for name in before if "sample" in name)


def test_new_argv_changes_the_id() -> None:
    preset = load_preset("tiny")
    samples = (replace(preset.samples[0], seeds=(1,)),)
    before = plan_jobs(preset, HASHES)
    after = plan_jobs(replace(preset, samples=samples), HASHES)
    kinds = {b.kind for b, a in zip(before, after, strict=True) if a.id != b.id}
    assert kinds == {"sample", "score", "proxies", "long sample", "long score", "lengths", "own"}


def test_estimates_and_gpus_do_not_change_an_id() -> None:
    one = job("a")
    other = replace(one, expected_s=9.0, gpus=2, retries=3, disk_bytes=5, exclusive=True)
    assert with_ids([one])[0].id == with_ids([other])[0].id


def job(name: str, *needs: str) -> Job:
    return Job(
        name=name, kind="x", argv=(name,), outputs=(), required_outputs=(), dependencies=needs
    )


def test_order_follows_needs() -> None:
    names = [j.name for j in with_ids([job("c", "b"), job("b", "a"), job("a")])]
    assert names == ["a", "b", "c"]


def test_a_cycle_is_spelled_out() -> None:
    jobs = [job("start"), job("a", "c", "start"), job("b", "a"), job("c", "b"), job("end", "c")]
    with pytest.raises(
        UsageError, match=r"jobs need one another: .* take one of the needs out"
    ) as e:
        with_ids(jobs)
    path = str(e.value).split(": ")[1].split(";")[0].split(" -> ")
    assert path[0] == path[-1]
    assert set(path) == {"a", "b", "c"}


def test_an_unknown_need_and_a_name_given_twice_are_named() -> None:
    with pytest.raises(UsageError, match="job 'a' needs 'z', and there is no such job"):
        with_ids([job("a", "z")])
    with pytest.raises(UsageError, match="job 'a' is given twice"):
        with_ids([job("a"), job("a")])


def test_selection_takes_what_is_needed_and_no_more() -> None:
    jobs = with_ids([job("a"), job("b", "a"), job("c", "b"), job("d", "a")])
    assert [j.name for j in select_jobs(jobs, ["c"])] == ["a", "b", "c"]


def test_command_fills_in_places_and_leaves_other_braces() -> None:
    one = Job(
        name="a", kind="x", argv=("{python}", "{out}/v", "{x}"), outputs=(), required_outputs=()
    )
    assert one.command({"python": "py", "out": "/o"}) == ["py", "/o/v", "{x}"]
