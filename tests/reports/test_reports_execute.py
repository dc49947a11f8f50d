import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from drift.errors import UsageError
from reports.execute import Outcome, run_jobs
from reports.job_records import plan_states, read_record
from reports.jobs import Job, with_ids
from reports.places import local_places
from reports.progress import Progress

WRITE = "import pathlib,sys; p=pathlib.Path(sys.argv[1]); p.mkdir(exist_ok=True); "
COUNT = WRITE + "(p/'n').write_text(str(int((p/'n').read_text())+1 if (p/'n').exists() else 1))"


def job(name: str, script: str = COUNT, *needs: str, **values: object) -> Job:
    fields = {
        "name": name,
        "kind": "x",
        "argv": ("{python}", "-c", script, f"{{out}}/{name}"),
        "outputs": (name,),
        "proofs": (f"{name}/n",),
        "needs": needs,
        **values,
    }
    return Job(**fields)  # type: ignore[arg-type]


def run(out: Path, *jobs: Job, resume: bool = True) -> dict[str, Outcome]:
    planned = with_ids(jobs)
    progress = Progress(planned, io.StringIO())
    places = local_places(out, out)
    return run_jobs(planned, out, places, resume=resume, progress=progress)


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
        from reports.execute import run_jobs
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
        from reports.execute import run_jobs
        from reports.places import local_places
        from reports.jobs import Job, with_ids
        code = "import os,pathlib,time;"
        code += "pathlib.Path(r'{tmp_path}/pid').write_text(str(os.getpid()));"
        one = Job(name="a", kind="x", argv=("{{python}}", "-c", code + "time.sleep(60)"),
                  outputs=("a",), proofs=("a/n",))
        out = Path(r"{tmp_path}/out")
        run_jobs(with_ids([one]), out, local_places(out, out))
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
    record = read_record(tmp_path / "out", "a")
    assert record is not None
    assert record.status == "interrupted"
    left = {path.name for path in (tmp_path / "out/jobs").iterdir()}
    assert left == {"a.json", "a.log", ".lock", ".graph.json", ".set_aside.json"}
