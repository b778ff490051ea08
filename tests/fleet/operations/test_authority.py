import stat
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from otaserver.fleet import operations
from otaserver.fleet.models import FleetAuthority
from tests.factories import NOON, make_tenant


def key_files():
    return list(Path(settings.ONLINE_KEYS).glob("*"))


@pytest.mark.django_db
def test_the_authoritys_key_is_a_file_that_only_the_server_can_read():
    authority = operations.create_fleet_authority(make_tenant("brand"), at=NOON)

    [file] = key_files()
    assert file.name == authority.key_name
    assert file.name.startswith("fleet-ca-brand-")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert "PRIVATE" not in authority.certificate_pem


@pytest.mark.django_db
def test_creating_it_again_changes_nothing():
    tenant = make_tenant()

    assert operations.create_fleet_authority(tenant, at=NOON) == operations.create_fleet_authority(tenant, at=NOON)
    assert len(key_files()) == 1


@pytest.mark.django_db
def test_where_online_keys_are_no_folder_it_says_so_and_stores_nothing(settings):
    settings.ONLINE_KEYS = "hv://transit"

    with pytest.raises(ImproperlyConfigured, match="hv://transit"):
        operations.create_fleet_authority(make_tenant(), at=NOON)

    assert not FleetAuthority.objects.exists()


def test_created_twice_at_once_there_is_one_authority_and_one_key(at_once):
    tenant = make_tenant()

    results = at_once(*[lambda: operations.create_fleet_authority(tenant, at=NOON)] * 3)

    assert set(results) == {FleetAuthority.objects.get()}
    assert [file.name for file in key_files()] == [results[0].key_name]
