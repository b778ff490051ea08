"""The secrets of authenticators: not readable with the database alone, and with another secret key only for a while."""

from io import StringIO

import pytest
from django.core.management import call_command

from otaserver import sealing
from otaserver.people import operations
from otaserver.people.errors import CodeWrongError
from otaserver.people.models import Authenticator
from tests.factories import NOON, make_tenant
from tests.people.people_factories import code_of, make_member

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def mia():
    return make_member(make_tenant("acme")).user


def enrolled(user):
    """Enrol; return the recovery codes, and the code that comes next."""
    operations.begin_enrolment(user)
    codes = operations.confirm_enrolment(user, code_of(user), at=NOON)
    return codes, code_of(user, steps=1)


def test_the_database_alone_shows_no_secret(mia):
    secret = operations.begin_enrolment(mia)
    stored = Authenticator.objects.get().sealed_secret

    assert len(secret) == 20
    assert secret.hex() not in stored
    assert sealing.unseal(stored) == secret
    assert sealing.seal(secret) != stored


def test_a_secret_that_was_tampered_with_is_none(mia):
    operations.begin_enrolment(mia)
    stored = Authenticator.objects.get().sealed_secret

    with pytest.raises(sealing.SecretUnreadableError):
        sealing.unseal(stored[:-5] + "AAAA=")


def test_under_another_secret_key_recovery_codes_still_let_in(mia, settings, caplog):
    codes, code = enrolled(mia)
    settings.SECRET_KEY = "another"

    with pytest.raises(CodeWrongError):
        operations.show_second_factor(mia, code, at=NOON)
    operations.show_second_factor(mia, codes[0], at=NOON)

    assert "OTA_SECRET_KEY" in caplog.text
    assert operations.has_second_factor(mia)


def test_the_key_is_replaced_in_three_steps(mia, settings):
    _, code = enrolled(mia)
    before, settings.SECRET_KEY = settings.SECRET_KEY, "another"
    settings.SECRET_KEY_FALLBACKS = [before]
    out = StringIO()
    call_command("seal_again", stdout=out)
    settings.SECRET_KEY_FALLBACKS = []

    operations.show_second_factor(mia, code, at=NOON)

    assert out.getvalue() == "Sealed anew: 1.\n"


def test_what_no_key_opens_stays_as_it_is_and_can_be_set_up_anew(mia, settings):
    enrolled(mia)
    first = operations.begin_enrolment(mia)
    stored = list(Authenticator.objects.order_by("pk").values())
    settings.SECRET_KEY = "another"

    assert operations.seal_again() == 0
    assert list(Authenticator.objects.order_by("pk").values()) == stored
    assert operations.begin_enrolment(mia) != first
    assert Authenticator.objects.count() == 2
