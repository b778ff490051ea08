"""The commands of docs/import.md, tried on answers of the systems that people come from."""

import io
import json
import re
import subprocess

import pytest

from otaserver.fleet import operations
from otaserver.fleet.models import Vehicle
from tests.factories import NOON, make_tenant
from tests.firmware_store.formats.tools import needs
from tests.processes import ROOT

# As hawkBit's GET /rest/v1/targets and Mender's GET /api/management/v2/devauth/devices answer.
TARGETS = {
    "content": [
        {
            "createdBy": "admin",
            "controllerId": "VIN1",
            "name": "first",
            "updateStatus": "in_sync",
            "securityToken": "0123456789abcdef0123456789abcdef",
            "requestAttributes": False,
            "_links": {"self": {"href": "https://hawkbit.example/rest/v1/targets/VIN1"}},
        },
        {"controllerId": "not an id", "securityToken": "0123456789abcdef0123456789abcdee"},
    ],
    "total": 2,
    "size": 2,
}
KEY = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n"
IDENTITY = {"mac": "00:01:02:03:04:05"}
DEVICES = [
    {
        "id": "1",
        "identity_data": IDENTITY,
        "status": "accepted",
        "auth_sets": [
            {"id": "a", "pubkey": KEY, "identity_data": IDENTITY, "status": "accepted"},
            {"id": "b", "pubkey": "an old one", "identity_data": IDENTITY, "status": "rejected"},
        ],
        "decommissioning": False,
    }
]


def of_page(result, answer):
    """Return the lines that the page's jq command, whose result has this name, makes of an answer."""
    text = (ROOT / "docs" / "import.md").read_text()
    programs = re.findall(r"^jq -c '([^']+)' (\w+)\.json > (\w+)\.jsonl", text, re.M)
    (program,) = [found for found, source, name in programs if (source, name) == result]
    done = subprocess.run(["jq", "-c", program], input=json.dumps(answer), capture_output=True, text=True, check=True)
    return done.stdout


def run(lines):
    tenant = make_tenant()
    row = operations.begin_import(
        tenant, io.BytesIO(lines.encode()), filename="x", kind="jsonl", is_dry_run=False, by="alice", at=NOON
    )
    return tenant, operations.run_import(row.pk, now=lambda: NOON)


@needs("jq")
@pytest.mark.django_db
def test_targets_of_hawkbit_keep_their_tokens():
    tenant, done = run(of_page(("targets", "fleet"), TARGETS))

    assert [(each.line, each.code) for each in done.problems.all()] == [(2, "vehicle.id_refused")]
    token = TARGETS["content"][0]["securityToken"]
    assert operations.identify_pre_shared(tenant, "VIN1", token, at=NOON).vehicle.enrolled_at == NOON


@needs("jq")
@pytest.mark.django_db
def test_devices_of_mender_are_known_before_they_ask():
    _, done = run(of_page(("devices", "fleet"), DEVICES))

    assert done.counts["refused"] == 0
    found = Vehicle.objects.get()
    assert (found.vehicle_id, found.protocol, found.enrolled_at) == ("00:01:02:03:04:05", "mender", None)


@needs("jq")
def test_the_keys_of_mender_s_accepted_devices_are_listed():
    lines = of_page(("devices", "expected"), DEVICES)

    assert json.loads(lines) == {"identity": IDENTITY, "vehicle_id": "00:01:02:03:04:05", "public_key": KEY}


@pytest.mark.django_db
def test_the_factory_s_example_is_taken():
    text = (ROOT / "docs" / "import.md").read_text()
    lines = "\n".join(re.findall(r'^echo "([^"]+)" >', text, re.M)).encode()
    row = operations.begin_import(
        make_tenant(), io.BytesIO(lines), filename="x", kind="csv", is_dry_run=False, by="alice", at=NOON
    )

    done = operations.run_import(row.pk, now=lambda: NOON)

    assert (done.counts["claim_codes"], done.counts["memberships"], done.counts["refused"]) == (1, 1, 0)
