"""Every error that the code raises for its user has a topic, and each topic cause and remedy."""

from pathlib import Path

from docs_reference.errors import messages, topics_of_page, with_messages

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")


def test_every_topic_has_a_section() -> None:
    assert sorted(topics_of_page(PAGE)) == sorted(messages(ROOT))


def test_every_section_has_cause_and_remedy() -> None:
    for section in PAGE.split("\n## ")[1:]:
        if section.startswith("`"):
            assert "**Cause.** " in section and "**Remedy.** " in section, section


def test_the_site_lists_the_messages() -> None:
    section = with_messages(PAGE, ROOT).partition("## `drift-video`")[2].partition("## ")[0]
    assert "no video…; expected …" in section
    assert "is given twice" in section
