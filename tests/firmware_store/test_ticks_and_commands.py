import logging
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from firmware_store import tasks
from firmware_store.models import ExpiryWarning, OnlineKey, Package
from firmware_store.states import PackageState, Repository
from firmware_store.trust import queries
from otaserver import clock
from otaserver.audit.models import Entry
from otaserver.tenants import operations as tenants
from tests.factories import NOON, make_tenant
from tests.firmware_store.ceremony import Ceremony

pytestmark = pytest.mark.django_db


def run(name, *arguments):
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def test_the_refresh_tick_signs_what_is_due_of_every_tenant_and_once():
    ceremonies = [Ceremony(make_tenant()).establish() for _ in range(2)]
    make_tenant()

    with clock.using(lambda: NOON + timedelta(hours=20)):
        tasks.refresh_metadata()
        tasks.refresh_metadata()

    assert [queries.latest_version(one.tenant, Repository.IMAGE, "timestamp") for one in ceremonies] == [2, 2]


def test_one_tenant_s_lost_key_does_not_keep_the_tick_from_the_others(caplog):
    broken, whole = (Ceremony(make_tenant()).establish() for _ in range(2))
    OnlineKey.objects.filter(tenant=broken.tenant).delete()

    with clock.using(lambda: NOON + timedelta(hours=20)):
        tasks.refresh_metadata()

    assert queries.latest_version(whole.tenant, Repository.IMAGE, "timestamp") == 2
    assert queries.latest_version(broken.tenant, Repository.IMAGE, "timestamp") == 1
    assert f"online metadata not signed: tenant={broken.tenant}" in caplog.text


def test_the_expiry_tick_warns_once_in_the_log_and_ends_lost_uploads(caplog):
    ceremony = Ceremony(make_tenant()).establish()
    ceremony.upload(b"content")

    with clock.using(lambda: NOON + timedelta(days=300)), caplog.at_level(logging.WARNING):
        tasks.watch_expiry()
        tasks.watch_expiry()

    assert ExpiryWarning.objects.count() == 3
    assert len([line for line in caplog.messages if "ends within 90 days" in line]) == 3
    assert Package.objects.get().state == PackageState.REFUSED


def test_a_token_is_printed_once_and_authenticates():
    tenant = make_tenant("brand")

    token = run("create_token", "BRAND", "ci", "release_engineer").strip()

    found = tenants.authenticate_token(token, at=clock.now())
    assert (found.tenant, found.role) == (tenant, "release_engineer")
    assert Entry.objects.get().action == "token.created"
    assert token not in str(Entry.objects.values().get())


def test_a_token_of_an_unknown_tenant_or_role_is_refused():
    make_tenant("brand")

    for arguments in (("nobody", "ci", "viewer"), ("brand", "ci", "emperor")):
        with pytest.raises(CommandError):
            run("create_token", *arguments)


def test_a_token_name_is_used_once():
    make_tenant("brand")
    run("create_token", "brand", "ci", "viewer")

    with pytest.raises(CommandError, match="already"):
        run("create_token", "brand", "ci", "viewer")


def test_rotating_prints_the_next_keys_and_once_more_makes_none():
    ceremony = Ceremony(make_tenant("brand")).establish()
    entries = Entry.objects.count()

    first, second = run("rotate_online_keys", "brand"), run("rotate_online_keys", "brand")

    waiting = OnlineKey.objects.filter(tenant=ceremony.tenant, activated_at=None)
    assert sorted(first.splitlines()) == sorted(f"{key.repository} {key.role} {key.keyid}" for key in waiting)
    assert "nothing was made" in second
    assert Entry.objects.count() == entries + 1


def test_rotating_needs_a_tenant_and_a_place_for_keys(settings):
    make_tenant("brand")
    settings.ONLINE_KEYS = "relative"

    for name in ("nobody", "brand"):
        with pytest.raises(CommandError):
            run("rotate_online_keys", name)
