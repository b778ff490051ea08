from threading import Barrier, Thread

import pytest
from django.db import connection, transaction

from otaserver.audit import operations, queries
from otaserver.audit.models import Chain, Entry
from otaserver.tenants.models import Tenant
from tests.factories import NOON, make_tenant


def record(tenant, action="campaign.started", **details):
    return operations.record(action, tenant, tenant=tenant, by="alice", at=NOON, **details)


@pytest.mark.django_db
def test_entries_are_numbered_and_each_names_its_predecessor():
    tenant = make_tenant()

    first, second = record(tenant), record(tenant, reason="smoke")

    assert (first.number, second.number) == (1, 2)
    assert first.previous_hash == "0" * 64
    assert second.previous_hash == first.hash
    assert queries.first_break(tenant) is None


@pytest.mark.django_db
def test_chains_of_two_tenants_do_not_touch():
    one, other = make_tenant(), make_tenant()

    record(one)

    assert record(other).number == 1
    assert queries.first_break(one) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change", [{"actor": "mallory"}, {"details": {"reason": "x"}}, {"action": "campaign.stopped"}, {"number": 9}]
)
def test_a_changed_entry_breaks_the_chain_where_it_stands(change):
    tenant = make_tenant()
    for _ in range(3):
        record(tenant)

    Entry.objects.filter(number=2).update(**change)

    assert queries.first_break(tenant) == 2


@pytest.mark.django_db
def test_a_removed_entry_shows_in_the_middle_and_at_the_end():
    tenant = make_tenant()
    for _ in range(4):
        record(tenant)

    Entry.objects.filter(number=4).delete()
    assert queries.first_break(tenant) == 4

    Entry.objects.filter(number=2).delete()
    assert queries.first_break(tenant) == 2


@pytest.mark.django_db
def test_an_emptied_chain_shows():
    tenant = make_tenant()
    record(tenant)
    Entry.objects.all().delete()

    assert queries.first_break(tenant) == 1


@pytest.mark.django_db
def test_entries_without_a_head_show():
    tenant = make_tenant()
    record(tenant)
    Chain.objects.all().delete()

    assert queries.first_break(tenant) == 1


@pytest.mark.django_db
def test_what_is_written_while_the_chain_is_read_is_no_break():
    tenant = make_tenant()
    record(tenant)
    written = []

    def write_after_the_head_is_read(execute, sql, params, many, context):
        done = execute(sql, params, many, context)
        if sql.startswith('SELECT "audit_chain"') and not written:
            written.append(sql)
            record(tenant)
        return done

    with connection.execute_wrapper(write_after_the_head_is_read):
        found = queries.first_break(tenant)

    assert found is None


@pytest.mark.django_db
def test_a_tenant_without_entries_has_a_whole_chain():
    assert queries.first_break(make_tenant()) is None


@pytest.mark.django_db
def test_an_entry_vanishes_with_the_transaction_that_it_records():
    tenant = make_tenant()

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        record(tenant)
        raise ZeroDivisionError

    assert not Entry.objects.exists()
    assert record(tenant).number == 1


@pytest.mark.django_db(transaction=True)
def test_many_writers_at_once_make_one_chain():
    tenant = make_tenant()
    start = Barrier(6)

    def write():
        start.wait()
        for _ in range(5):
            record(Tenant.objects.get(pk=tenant.pk))
        connection.close()

    threads = [Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Entry.objects.count() == 30
    assert queries.first_break(tenant) is None
