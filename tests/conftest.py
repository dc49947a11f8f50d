"""What every test needs of the process that runs it."""

import shutil
import signal
from collections.abc import Iterator

import pytest
from chromium import PROGRAMS, Chromium
from fake_hub import hub, hub_cache  # noqa: F401  (fixtures)
from hypothesis import HealthCheck, settings

# A shell without job control starts background jobs with Ctrl-C ignored, and children inherit
# that: the tests that interrupt real commands would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, and no example fails because the machine was busy. To look for
# new ones: pytest --hypothesis-profile=default.
settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A headless Chromium; the test is skipped where there is none."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    chromium = Chromium(program, tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


@pytest.fixture(scope="session", autouse=True)
def own_home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Tests need no home and leave the user's alone, but published weights are looked for there."""
    with pytest.MonkeyPatch.context() as patch:
        if not any(item.get_closest_marker("weights") for item in request.session.items):
            patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True)
def no_hub_cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see none of this machine's weights, but for those that need published ones."""
    if request.node.get_closest_marker("weights") is None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "/nowhere/hub")
        monkeypatch.setenv("HF_HUB_CACHE", "/nowhere/hub")
