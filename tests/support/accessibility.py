"""axe-core in Chromium: what a page denies to those who use a keyboard, a reader or large print."""

from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest
from chromium import Chromium

OPEN_ALL = "document.querySelectorAll('details').forEach(d => { d.open = true; })"


def faults_of(browser: Chromium, page: Path) -> list[str]:
    """Violations of axe-core's rules on a page, on a desktop and on a phone, light and dark.

    Those that axe-core calls minor are left out: its older versions count as such what its newer
    ones do not. The test is skipped where axe-core is not installed.
    """
    spec = find_spec("axe_core_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-core is not installed (make setup-test installs axe-core-python)")
    script = Path(spec.origin).with_name("axe.min.js").read_text(encoding="utf-8")
    faults = []
    for width, dark in product((1440, 390), (False, True)):
        browser.open(page, width=width, dark=dark)
        browser.run(OPEN_ALL)
        browser.run(script)
        for rule in browser.run("axe.run(document).then(result => result.violations)"):
            if rule["impact"] != "minor":
                where = [node["target"] for node in rule["nodes"]]
                faults.append(f"{width} px, dark {dark}: {rule['id']}: {rule['help']}: {where}")
        if browser.run("document.documentElement.scrollWidth") > width:
            faults.append(f"{width} px, dark {dark}: scrolls sideways")
    return faults
