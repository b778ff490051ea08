"""A large fleet in a few INSERTs, and filters of every form, each about a small part of it. PostgreSQL only."""

from django.db import connection

from otaserver.fleet import operations
from otaserver.fleet.models import Attribute, AttributeValue, Ecu, Membership, Vehicle
from otaserver.tenants.models import Tenant
from tests.factories import NOON, make_group

# Of every 1,000 vehicles about one satisfies each.
FORMS = {
    "vehicle_id": 'vehicle_id = "V0000777"',
    "vehicle_id in": 'vehicle_id in ("V0000777", "V0000778", "none")',
    "time zone": 'time_zone = "Zone/7"',
    "enrolled": 'enrolled < "2026-01-02"',
    "last contact": 'last_contact > "2026-12-01"',
    "never in contact": "last_contact = None and confirmed = None",
    "blocked": "blocked = True",
    "ecu hardware": 'ecu.hardware_id = "hw-7"',
    "ecu serial": 'ecu.serial in ("S0000777-0", "S0000778-0")',
    "ecu installed": 'ecu.installed = "supplier/app-7"',
    "ecu version": 'ecu.version = "7"',
    "ecu package and version": 'ecu(package = "app" and version = "7")',
    "one ecu": 'ecu(hardware_id = "hw-7" and version != "8")',
    "one ecu, either": 'ecu(hardware_id = "hw-7" or version = "8")',
    "attribute text": 'attribute.text = "t7"',
    "attribute number": "attribute.number = 7 or attribute.number > 998.5",
    "attribute boolean": "attribute.boolean = True",
    "attribute time": 'attribute.time > "2026-12-01"',
    "group": 'group = "few"',
    "and": 'attribute.text = "t7" and not ecu.version = "8" and blocked = False',
    "or": 'attribute.text = "t7" or ecu.hardware_id = "hw-8" or vehicle_id = "V0000777"',
    "or within and": '(attribute.number = 7 or group = "few") and (ecu.version = "7" or blocked = True)',
    "negative beside a positive": 'ecu.version != "8" and attribute.text = "t7"',
}


def make_large_fleet(tenant: Tenant, count: int) -> None:
    """Make `count` vehicles with two ECUs and four attribute values each."""
    for type_ in ("text", "number", "boolean", "time"):
        operations.declare_attribute(tenant, name=type_, type=type_, by="test", at=NOON)
    known = {each.type: each.pk for each in Attribute.objects.filter(tenant=tenant)}
    group, many = make_group(tenant, name="few"), make_group(tenant, name="many")
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Vehicle._meta.db_table} (tenant_id, vehicle_id, created_at, enrolled_at, last_contact_at,"
            " confirmed_at, blocked_at, blocked_reason, time_zone, is_manifest_wanted, last_attempt_number, protocol,"
            " is_test_bench, is_health_wanted, client)"
            " SELECT %s, 'V' || lpad(n::text, 7, '0'), now(),"
            " CASE WHEN n %% 1000 = 1 THEN timestamptz '2026-01-01' ELSE timestamptz '2026-03-01' END,"
            " CASE WHEN n %% 1000 = 2 THEN NULL WHEN n %% 1000 = 3 THEN timestamptz '2026-12-31'"
            "   ELSE timestamptz '2026-06-01' + n * interval '1 second' END,"
            " CASE WHEN n %% 1000 = 2 THEN NULL ELSE timestamptz '2026-06-01' + n * interval '1 second' END,"
            " CASE WHEN n %% 1000 = 4 THEN now() END, '', 'Zone/' || (n %% 1000), false, 0, 'uptane',"
            " false, false, ''"
            " FROM generate_series(1, %s) n",
            [tenant.pk, count],
        )
        cursor.execute(
            f"INSERT INTO {Ecu._meta.db_table} (vehicle_id, serial, hardware_id, is_primary, keyid, public_key,"
            " report_counter, installed_target, installed_sha256, installed_name, installed_version, is_asserted)"
            " SELECT v.id, 'S' || substr(v.vehicle_id, 2) || '-' || e, 'hw-' || (v.id %% 1000 + e * 1000), e = 0,"
            " v.id || '-' || e, '{}', 0, 'supplier/app-' || (v.id %% 1000 + e * 1000), '', 'app',"
            " (v.id %% 1000 + e * 1000)::text, false"
            f" FROM {Vehicle._meta.db_table} v, generate_series(0, 1) e WHERE v.tenant_id = %s",
            [tenant.pk],
        )
        values = {
            "text": "'t' || (v.id %% 1000)",
            "number": "(v.id %% 1000)::float",
            "boolean": "v.id %% 1000 = 5",
            "time": "CASE WHEN v.id %% 1000 = 6 THEN timestamptz '2026-12-31' ELSE timestamptz '2026-01-01' END",
        }
        for column, value in values.items():
            cursor.execute(
                f'INSERT INTO {AttributeValue._meta.db_table} (vehicle_id, attribute_id, "{column}", changed_at)'
                f" SELECT v.id, %s, {value}, now() FROM {Vehicle._meta.db_table} v WHERE v.tenant_id = %s",
                [known[column], tenant.pk],
            )
        cursor.execute(
            f"INSERT INTO {Membership._meta.db_table} (group_id, vehicle_id)"
            f" SELECT %s, v.id FROM {Vehicle._meta.db_table} v WHERE v.tenant_id = %s AND v.id %% 1000 = 9",
            [group.pk, tenant.pk],
        )
        cursor.execute(
            f"INSERT INTO {Membership._meta.db_table} (group_id, vehicle_id)"
            f" SELECT %s, v.id FROM {Vehicle._meta.db_table} v WHERE v.tenant_id = %s AND v.id %% 5 = 0",
            [many.pk, tenant.pk],
        )
        for model in (Vehicle, Ecu, AttributeValue, Membership):
            cursor.execute(f"ANALYZE {model._meta.db_table}")
