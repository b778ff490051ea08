"""That the tests run on what they say they run on."""

import pytest
from django.conf import settings
from django.db import connection, transaction

from otaserver.tenants.models import Tenant
from tests.factories import NOON, make_tenant


@pytest.mark.django_db
def test_the_database_is_the_one_chosen():
    assert connection.vendor == ("postgresql" if settings.USES_POSTGRESQL else "sqlite")


def test_threads_see_each_others_commits_and_wait_for_their_turn(at_once):
    tenant = make_tenant()

    def raise_polling():
        with transaction.atomic():
            row = Tenant.objects.select_for_update().get(pk=tenant.pk)
            Tenant.objects.filter(pk=row.pk).update(polling_seconds=row.polling_seconds + 1)

    results = at_once(*[raise_polling] * 4)

    assert results == [None] * 4
    assert Tenant.objects.get().polling_seconds == 304


@pytest.mark.postgresql
@pytest.mark.django_db
def test_marked_tests_run_on_postgresql_alone():
    assert connection.vendor == "postgresql"


@pytest.mark.django_db
@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_has_files_of_its_own(turn):
    settings.UPLOAD_DIR.mkdir(parents=True)
    (settings.UPLOAD_DIR / "left-behind").touch()
    Tenant.objects.create(name="same", created_at=NOON)
