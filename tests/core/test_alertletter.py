"""What goes to people: bounded, in their language, and never markup of somebody else."""

from __future__ import annotations

import html

from hypothesis import given, settings
from hypothesis import strategies as st

from core import alertletter, alerttext, severities
from core.alertletter import Style, letter
from core.alerts import Notice
from tests.core.alertbodies import body, bundle, condition, item

OWN = severities.catalogue()["danhao"]
BOTH = Style(OWN, "both")
ENGLISH = Style(OWN, "en")


def test_both_languages_stand_in_one_subject_and_below_one_another() -> None:
    found = letter(body("firing"), BOTH)
    assert found.subject.count(" / ") == 1
    assert found.text.index("超过限额") < found.text.index("above its limit")
    assert found.brief == "\n\n".join(alerttext.sentence(body("firing"), x) for x in ("zh", "en"))


def test_a_bundle_lists_what_it_holds_and_counts_the_rest() -> None:
    many = bundle("digest", *(body("firing", condition()) for _ in range(60)))
    found = letter(many, ENGLISH)
    assert found.subject == "[Danhao] several in one: 60 notices"
    assert found.text.count("Agent gw-01 is silent") == alertletter.MOST_LISTED
    assert "10 more are in the list of alerts." in found.text
    assert found.html.count("<li>") == alertletter.MOST_LISTED
    assert "10 more are in the list of alerts." in found.html
    assert found.brief.count("Agent gw-01") == alertletter.MOST_BRIEF_LISTED
    assert "50 more" in found.brief


def test_a_mail_says_that_it_is_no_decision() -> None:
    found = letter(body("firing"), BOTH)
    assert "不是行政决定" in found.text
    assert "no administrative decision" in found.text
    assert "不是行政决定" in found.html


def test_a_link_is_there_where_the_page_is_known() -> None:
    style = Style(OWN, "both", "https://danhao.plant.example")
    found = letter(body("firing", item(result="r-1")), style)
    address = "https://danhao.plant.example/evidence/r-1?lang="
    for text in (found.brief, found.text):
        assert f"页面：{address}zh" in text
        assert f"Page: {address}en" in text
    assert f'<a href="{address}zh">' in found.html
    assert "href" not in letter(body("firing"), BOTH).html


def test_markup_in_a_name_stays_text() -> None:
    nasty = item(unit_name={"zh": "<script>x</script>", "en": '"><img src=x>'})
    for message in (body("firing", nasty), bundle("rate", body("firing", nasty))):
        found = letter(message, BOTH)
        assert "<script>" not in found.html
        assert "<img" not in found.html
        assert html.escape("<script>x</script>") in found.html


@settings(max_examples=60)
@given(
    notice=st.sampled_from([notice.value for notice in Notice]) | st.text(max_size=12),
    kept=st.sets(st.sampled_from(sorted(item()))),
    names=st.dictionaries(st.sampled_from(["zh", "en"]), st.text(max_size=300)),
    language=st.sampled_from(sorted(alertletter.LANGUAGES)),
    scheme=st.sampled_from(sorted(severities.catalogue())),
)
def test_whatever_is_missing_there_is_a_bounded_text_of_one_line_each(
    notice: str, kept: set[str], names: dict[str, str], language: str, scheme: str
) -> None:
    alert = {key: value for key, value in item(unit_name=names).items() if key in kept}
    found = letter(body(notice, alert), Style(severities.catalogue()[scheme], language))
    assert 0 < len(found.subject) <= alertletter.MOST_SUBJECT_CHARS
    assert found.subject.isprintable()
    assert all(line.isprintable() for line in found.text.split("\n"))
    assert 0 < len(found.brief) <= 2 * (alerttext.MOST_SENTENCE_CHARS + 2)
