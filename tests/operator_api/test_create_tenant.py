from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from firmware_store.models import OnlineKey
from otaserver.audit.models import Entry
from otaserver.fleet.models import FleetAuthority
from otaserver.tenants.models import Tenant

pytestmark = pytest.mark.django_db


def run(name, *arguments):
    call_command(name, *arguments, stdout=StringIO())


def test_a_tenant_is_created_with_its_online_keys_and_an_audit_entry():
    run("create_tenant", "Brand", "--title", "The Brand", "--public-targets")

    tenant = Tenant.objects.get()
    assert (tenant.name, tenant.title, tenant.has_public_targets) == ("brand", "The Brand", True)
    assert OnlineKey.objects.filter(tenant=tenant).count() == 5
    assert FleetAuthority.objects.filter(tenant=tenant).count() == 1
    assert Entry.objects.get().action == "tenant.created"


def test_targets_are_not_public_unless_asked_for():
    run("create_tenant", "brand")

    assert not Tenant.objects.get().has_public_targets


def test_a_refused_tenant_leaves_nothing():
    with pytest.raises(CommandError, match="cannot name a tenant"):
        run("create_tenant", "api")

    assert not Tenant.objects.exists()
    assert not OnlineKey.objects.exists()
    assert not FleetAuthority.objects.exists()
