"""Provenance names code and versions, not a machine; its commit: tests/test_provenance.py."""

import platform

from drift import provenance


def test_packages_and_platform_but_no_host():
    facts = provenance.collect_provenance()
    assert facts["packages"]["av"]
    assert facts["packages"]["numpy"]
    assert platform.node() not in str(facts).split("'")
