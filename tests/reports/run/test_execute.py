import errno
import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from killed import is_alive, leave_behind
from record_schema import check_record

from drift.errors import UsageError
from reports.plan.jobs import Job, clock, with_ids
from reports.plan.paths import local_paths
from reports.run.execute import Outcome, run_jobs
from reports.run.executors.local import LocalExecutor, Queue
from reports.run.job_records import plan_states, read_record
from reports.run.progress import Progress
from reports.run.run_folder import Identity

PLACES = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "support")]
"""Where a process that imports this file finds it, and what it imports."""
WRITE = "import pathlib,sys; p=pathlib.Path(sys.argv[1]); p.mkdir(exist_ok=True); "
COUNT = WRITE + "(p/'n').write_text(str(int((p/'n').read_text())+1 if (p/'n').exists() else 1))"


def job(name: str, script: str = COUNT, *needs: str, **values: object) -> Job:
    fields = {
        "name": name,
        "kind": "x",
        "argv": ("{python}", "-c", script, f"{{out}}/{name}"),
        "outputs": (name,),
        "required_outputs": (f"{name}/n",),
        "dependencies": needs,
        **values,
    }
    return Job(**fields)  # type: ignore[arg-type]


def run(out: Path, *jobs: Job, resume: bool = True, **more: Any) -> dict[str, Outcome]:
    planned = with_ids(jobs)
    progress = Progress(planned, io.StringIO())
    paths = local_paths(out, out)
    return run_jobs(planned, out, paths, resume=resume, progress=progress, **more)


def statuses(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {name: outcome.status for name, outcome in outcomes.items()}


def test_second_run_reuses_everything(tmp_path: Path) -> None:
    jobs = (job("a"), job("b", COUNT, "a"))
    assert statuses(run(tmp_path, *jobs)) == {"a": "done", "b": "done"}
    assert statuses(run(tmp_path, *jobs)) == {"a": "reused", "b": "reused"}
    assert plan_states(tmp_path, with_ids(jobs), resume=True) == {"a": True, "b": True}
    assert not any(plan_states(tmp_path, with_ids(jobs), resume=False).values())


def test_new_input_runs_a_job_and_what_needs_it_from_scratch(tmp_path: Path) -> None:
    run(tmp_path, job("a"), job("b", COUNT, "a"), job("c"))
    new = (job("a", inputs={"w": "2"}), job("b", COUNT, "a"), job("c"))
    assert statuses(run(tmp_path, *new)) == {"a": "done", "b": "done", "c": "reused"}
    assert (tmp_path / "a/n").read_text() == "1"  # the old folder was cleared, not added to


def test_a_changed_or_lost_output_is_made_again(tmp_path: Path) -> None:
    run(tmp_path, job("a"))
    (tmp_path / "a/n").write_text("tampered")
    assert statuses(run(tmp_path, job("a"))) == {"a": "done"}
    (tmp_path / "a/n").unlink()
    assert statuses(run(tmp_path, job("a"))) == {"a": "done"}


def test_no_resume_runs_again(tmp_path: Path) -> None:
    run(tmp_path, job("a"))
    assert statuses(run(tmp_path, job("a"), resume=False)) == {"a": "done"}
    assert (tmp_path / "a/n").read_text() == "1"


def test_failure_blocks_only_what_needs_it(tmp_path: Path) -> None:
    bad = job("bad", "print('line one'); raise SystemExit('no such thing')")
    outcomes = run(tmp_path, bad, job("after", COUNT, "bad"), job("other"))
    assert statuses(outcomes) == {"bad": "failed", "after": "blocked", "other": "done"}
    assert outcomes["bad"].reason == "exit code 1"
    assert outcomes["bad"].tail == "line one\nno such thing"
    assert outcomes["after"].reason == "bad failed"
    assert (tmp_path / "jobs/bad.log").read_text() == "line one\nno such thing\n"


def test_success_without_output_is_a_failure(tmp_path: Path) -> None:
    outcome = run(tmp_path, job("a", "pass"))["a"]
    assert (outcome.status, outcome.reason) == ("failed", "exit code 0, but a/n was not written")


def test_a_job_cut_short_goes_on_from_its_own_files(tmp_path: Path) -> None:
    # Fails the first time, after writing; the same inputs again find the file and count on.
    script = COUNT + "; raise SystemExit(0 if (p/'n').read_text() == '2' else 1)"
    assert statuses(run(tmp_path, job("a", script))) == {"a": "failed"}
    assert statuses(run(tmp_path, job("a", script))) == {"a": "done"}


def test_files_of_others_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/mine").write_text("x")
    with pytest.raises(UsageError, match="no record says what made it"):
        run(tmp_path, job("a"))
    assert (tmp_path / "a/mine").read_text() == "x"


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    inner = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from drift.errors import UsageError
        from reports.run.execute import run_jobs
        try:
            run_jobs((), Path({str(tmp_path)!r}), {{}})
        except UsageError as error:
            sys.exit(str(error))
        """
    )
    outcome = run(tmp_path, job("a", inner))["a"]
    assert "another reproduce-paper works there" in outcome.tail


def test_interrupt_kills_the_job_and_marks_it(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from reports.run.execute import run_jobs
        from reports.plan.paths import local_paths
        from reports.plan.jobs import Job, with_ids
        code = "import os,pathlib,time;"
        code += "pathlib.Path(r'{tmp_path}/pid').write_text(str(os.getpid()));"
        one = Job(name="a", kind="x", argv=("{{python}}", "-c", code + "time.sleep(60)"),
                  outputs=("a",), required_outputs=("a/n",))
        out = Path(r"{tmp_path}/out")
        run_jobs(with_ids([one]), out, local_paths(out, out))
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    pid_file = tmp_path / "pid"
    deadline = time.monotonic() + 20
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in error
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    check_record(tmp_path / "out/jobs/a.json")
    record = read_record(tmp_path / "out", "a")
    assert record is not None
    assert record.status == "interrupted"
    left = {path.name for path in (tmp_path / "out/jobs").iterdir()}
    assert left == {"a.json", "a.log", ".lock", ".graph.json", ".set_aside.json"}


# Writes when it began and ended, and which GPUs it was given.
SPAN = WRITE + textwrap.dedent(
    """
    import os, time
    start = time.monotonic(); time.sleep(0.5)
    gpus = os.environ.get('CUDA_VISIBLE_DEVICES', 'none')
    (p / 'n').write_text(f'{start} {time.monotonic()} {gpus}')
    """
).strip().replace("\n", "; ")


def spans(out: Path, *names: str) -> list[tuple[float, float, str]]:
    texts = [(out / name / "n").read_text().split(" ") for name in names]
    return [(float(start), float(end), gpus) for start, end, gpus in texts]


def overlap(a: tuple[float, float, str], b: tuple[float, float, str]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def test_jobs_run_beside_one_another_and_a_timed_one_alone(tmp_path: Path) -> None:
    jobs = [job("timed", SPAN, exclusive=True), job("a", SPAN), job("b", SPAN)]
    outcomes = run(tmp_path, *jobs, executor=LocalExecutor(jobs=3))
    assert set(statuses(outcomes).values()) == {"done"}
    timed, a, b = spans(tmp_path, "timed", "a", "b")
    assert overlap(a, b)
    assert not overlap(timed, a)
    assert not overlap(timed, b)


def test_each_job_has_gpus_of_its_own(tmp_path: Path) -> None:
    jobs = [job("one", SPAN, gpus=1), job("two", SPAN, gpus=1), job("both", SPAN, gpus=2),
            job("none", SPAN), job("three", SPAN, gpus=3)]  # fmt: skip
    outcomes = run(tmp_path, *jobs, executor=LocalExecutor(jobs=4, gpus=("4", "7")))
    assert statuses(outcomes).pop("three") == "blocked"
    assert outcomes["three"].reason == "needs 3 GPUs, and 2 is here (--gpus)"
    one, two, both, none = spans(tmp_path, "one", "two", "both", "none")
    assert {one[2], two[2]} == {"4", "7"}
    assert sorted(both[2].split(",")) == ["4", "7"]
    assert none[2] == ""
    assert not overlap(both, one)
    assert not overlap(both, two)


def test_the_queue_hands_out_each_job_once_its_needs_are_settled() -> None:
    queue = Queue([job("a"), job("b", COUNT, "a"), job("c"), job("d", COUNT, "b", "c")])
    taken = []
    while (one := queue.take(slots=1, gpus=0, busy=False)) is not None:
        taken.append(one.name)
        queue.finish(one)
    assert taken == ["a", "b", "c", "d"]
    assert not queue


def test_a_job_is_tried_again_with_longer_pauses(tmp_path: Path) -> None:
    script = (
        COUNT + "; print('try', (p/'n').read_text()); raise SystemExit((p/'n').read_text()<'3')"
    )
    start = time.monotonic()
    outcome = run(tmp_path, job("a", script, retries=3, backoff_s=0.2))["a"]
    assert outcome.status == "done"
    assert outcome.record is not None
    assert outcome.record.attempts == 3
    assert time.monotonic() - start >= 0.2 + 0.4
    assert (tmp_path / "jobs/a.log").read_text() == "try 1\ntry 2\ntry 3\n"
    never = run(tmp_path, job("b", "raise SystemExit(3)", retries=1, backoff_s=0.01))["b"]
    assert never.reason == "exit code 3, 2 times"


def test_what_is_missing_is_said_and_blocks_only_what_needs_it(tmp_path: Path) -> None:
    jobs = [job("a", requires=("model x",)), job("b", COUNT, "a"), job("c")]
    outcomes = run(tmp_path, *jobs, missing={"model x": "needs weights x"})
    assert statuses(outcomes) == {"a": "blocked", "b": "blocked", "c": "done"}
    assert outcomes["a"].reason == "needs weights x"
    assert outcomes["b"].reason == "a was not run"


def test_a_command_that_is_not_there_is_a_failed_job(tmp_path: Path) -> None:
    outcome = run(tmp_path, job("a", argv=("/no/such/program",)))["a"]
    assert (outcome.status, outcome.reason) == ("failed", "exit code 127")
    assert outcome.tail == "/no/such/program: No such file or directory"


def test_another_preset_or_spec_in_the_folder_is_refused(tmp_path: Path) -> None:
    ours = Identity(preset="tiny", preset_sha256="a" * 64)
    run(tmp_path, job("a"), identity=ours)
    assert statuses(run(tmp_path, job("a"), identity=ours)) == {"a": "reused"}
    with pytest.raises(UsageError, match="holds preset tiny, not paper; choose another folder"):
        run(tmp_path, job("a"), identity=Identity(preset="paper", preset_sha256="a" * 64))
    other = Identity(preset="tiny", preset_sha256="b" * 64)
    with pytest.raises(UsageError, match=r"hash aaaaaaaaaaaa, now bbbbbbbbbbbb.*--no-resume to"):
        run(tmp_path, job("a"), identity=other)
    assert statuses(run(tmp_path, job("a"), identity=other, resume=False)) == {"a": "done"}


@pytest.mark.parametrize("name", ["reproduction.json", "jobs/a.json"])
def test_records_of_another_schema_are_refused(tmp_path: Path, name: str) -> None:
    ours = Identity(preset="tiny", preset_sha256="a" * 64)
    run(tmp_path, job("a"), identity=ours)
    path = tmp_path / name
    path.write_text(path.read_text().replace("reports-", "old-reports-"))
    with pytest.raises(UsageError, match=f"{name}: schema is 'old-reports-.*choose another --out"):
        run(tmp_path, job("a"), identity=ours)


def test_kill_9_ends_the_job_too_and_the_next_run_goes_on(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import sys
        sys.path[:0] = {PLACES!r}
        from pathlib import Path
        import test_execute as here
        code = here.WRITE + "import os,time; (p/'pid').write_text(str(os.getpid()));"
        code += "(p/'n').exists() or (time.sleep(60) if not (p/'again').exists() else None);"
        code += "(p/'n').write_text('1')"
        here.run(Path(sys.argv[1]), here.job("a", code), here.job("b", here.COUNT, "a"))
        """
    )
    argv = [sys.executable, "-c", script, str(tmp_path)]
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    pid_file = tmp_path / "a/pid"
    deadline = time.monotonic() + 30
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    child = int(pid_file.read_text())
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(child)
    (tmp_path / "a/again").touch()
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    record = read_record(tmp_path, "b")
    assert record is not None
    assert record.status == "done"


def test_what_a_killed_process_left_is_removed_by_the_next_run(tmp_path: Path) -> None:
    names = ("manifest.json", "jobs/a.json", "tables/table1.csv", "figures/fig1.png")
    left = [leave_behind("drift.files", tmp_path / name) for name in names]
    run(tmp_path, job("a"))
    assert not any(path.exists() for path in left)


def test_a_full_disk_is_a_failed_job_and_room_lets_it_go_on(tmp_path: Path) -> None:
    # No file may grow past 64 KiB: writing more fails, as on a full disk, inside the job.
    big = WRITE + "(p/'n').write_bytes(bytes(200_000))"
    limited = textwrap.dedent(
        f"""
        import resource, signal, sys
        sys.path[:0] = {PLACES!r}
        from pathlib import Path
        import test_execute as here
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
        out = Path({str(tmp_path)!r})
        found = here.run(out, here.job("a", {big!r}), here.job("b", here.COUNT, "a"), here.job("c"))
        print(here.statuses(found), found["a"].tail)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", limited], capture_output=True, text=True, check=True, timeout=60
    )
    assert "{'a': 'failed', 'b': 'blocked', 'c': 'done'}" in done.stdout
    assert "File too large" in done.stdout
    outcomes = run(tmp_path, job("a", big), job("b", COUNT, "a"), job("c"))
    assert statuses(outcomes) == {"a": "done", "b": "done", "c": "reused"}


def test_no_room_for_a_record_is_a_failed_job(tmp_path: Path, monkeypatch: Any) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "x")

    monkeypatch.setattr("reports.run.attempt.write_record", full)
    outcome = run(tmp_path, job("a"))["a"]
    assert outcome.status == "failed"
    assert outcome.reason == "the disk is full; make room and give the same command again"


def test_time_left_follows_jobs_of_the_same_kind_and_the_number_of_slots() -> None:
    now = [0.0]
    jobs = with_ids([job(name, expected_s=10.0) for name in "abc"])
    progress = Progress(jobs, io.StringIO(), clock=lambda: now[0])
    assert progress.left_s() == 30
    progress.start(jobs[0])
    now[0] = 4.0
    assert progress.left_s() == 26
    progress.finish(jobs[0], "done", 30.0)
    assert progress.left_s() == 60  # three times what was expected
    two = Progress(jobs, io.StringIO(), slots=2, clock=lambda: now[0])
    assert two.left_s() == 15
    two.skip([(jobs[1], None), (jobs[2], None)], "not run")
    assert two.left_s() == 10  # one job takes no less because there are two slots


def test_durations_are_said_in_the_unit_that_fits() -> None:
    assert [clock(s) for s in (8.4, 125, 12000, 450000)] == [
        "8 s", "2 min 05 s", "3 h 20 min", "5 d 05 h",
    ]  # fmt: skip
