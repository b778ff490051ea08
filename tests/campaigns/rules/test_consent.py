import hashlib

import pytest

from otaserver.campaigns.rules import consent
from otaserver.campaigns.rules.consent import Terms


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (Terms("maybe", None, None), "'maybe' is not"),
        (Terms("none", 3, None), "none has 3"),
        (Terms("ask", None, 60), "ask has 60"),
        (Terms("ask_with_deadline", None, None), "needs a number of postponements"),
        (Terms("ask_with_deadline", 101, None), "not 101"),
        (Terms("ask_with_deadline", -1, None), "not -1"),
        (Terms("ask_with_deadline", 1, 0), "not 0"),
        (Terms("ask_with_deadline", None, 366 * 86400 + 1), "not 31622401"),
    ],
)
def test_terms_that_cannot_be_are_refused_with_the_value(terms, said):
    assert said in consent.terms_problem(terms)


@pytest.mark.parametrize(
    "terms",
    [
        Terms("none", None, None),
        Terms("ask", None, None),
        Terms("ask_with_deadline", 0, None),
        Terms("ask_with_deadline", None, 1),
        Terms("ask_with_deadline", 3, 86400),
    ],
)
def test_terms_that_can_be_are_signed_whole(terms):
    assert consent.terms_problem(terms) is None
    expected = {
        "kind": terms.consent,
        "postponements": terms.postponements,
        "deadline_seconds": terms.deadline_seconds,
        "again_seconds": 86400,
    }
    assert consent.signed(terms) == (None if terms.consent == "none" else expected)


ANSWER = {"decision": "yes", "by": "Erika", "language": "de-AT", "text_sha256": "0" * 64}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"decision": "perhaps"}, "'perhaps' is not"),
        ({"by": ""}, "'' is not"),
        ({"by": "a\nb"}, "is not"),
        ({"by": "x" * 201}, "is not"),
        ({"language": "Deutsch (Österreich)"}, "is none"),
        ({"text_sha256": "0" * 63}, "is not"),
        ({"text_sha256": "A" * 64}, "is not"),
    ],
)
def test_what_is_no_record_is_refused_with_the_value(change, said):
    assert consent.record_problem(**ANSWER) is None
    assert said in consent.record_problem(**(ANSWER | change))


def test_a_text_is_known_if_the_order_carried_it():
    notes = {"en": "Smoother.", "de": "Sanfter."}

    assert consent.has_text(notes, hashlib.sha256(b"Sanfter.").hexdigest())
    assert not consent.has_text(notes, hashlib.sha256(b"Smoother").hexdigest())
    assert not consent.has_text(notes, hashlib.sha256(b"").hexdigest())
    assert consent.has_text({}, hashlib.sha256(b"").hexdigest())
