import stat

import pytest

from firmware_store.models import OnlineKey
from otaserver.audit.models import Entry
from otaserver.embedded import first_start
from otaserver.fleet.models import FleetAuthority
from otaserver.tenants.models import ServiceToken, Tenant, User
from otaserver.tenants.operations import authenticate_token
from tests.factories import NOON

pytestmark = pytest.mark.django_db


def test_an_empty_folder_gets_a_tenant_with_its_keys_and_one_who_operates_it(tmp_path):
    made = first_start.prepare(tmp_path, at=NOON)

    token = authenticate_token(made.token, at=NOON)
    assert (token.tenant.name, token.role) == ("default", "administrator")
    assert User.objects.get(is_superuser=True).check_password(made.password)
    assert OnlineKey.objects.count() == 5
    assert FleetAuthority.objects.get().tenant == token.tenant
    assert made.token_file.read_text() == made.token + "\n"
    assert stat.S_IMODE(made.token_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.password_file.stat().st_mode) == 0o600
    entries = Entry.objects.order_by("pk").values_list("action", "actor")
    assert list(entries) == [("tenant.created", "first start"), ("token.created", "first start")]


def test_a_second_start_makes_nothing(tmp_path):
    first_start.prepare(tmp_path, at=NOON)
    before = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}

    assert first_start.prepare(tmp_path, at=NOON) is None

    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()} == before
    assert (Tenant.objects.count(), ServiceToken.objects.count(), OnlineKey.objects.count()) == (1, 1, 5)
    assert Entry.objects.count() == 2


def test_a_start_that_was_cut_off_before_its_commit_is_made_again(tmp_path):
    (tmp_path / "operator-token").write_text("ota_of_the_first_try\n")

    made = first_start.prepare(tmp_path, at=NOON)

    assert made.token_file.read_text() == made.token + "\n"
    assert made.token != "ota_of_the_first_try"
