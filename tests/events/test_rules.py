"""What events, signatures, pauses and addresses are, without a database."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from otaserver.events.rules import addresses, envelope, letters, retries, signatures, types
from otaserver.events.states import MailKind
from otaserver.tenants.states import Role
from tests.factories import NOON

pytestmark = pytest.mark.any_database


def test_the_audit_entry_of_a_change_names_its_event():
    assert types.type_of("campaign.started", actor="alice").name == "campaign.started"
    assert types.type_of("campaign.submitted", actor="alice").name == "campaign.approval_wanted"
    assert types.type_of("package.published", actor="ci").name == "package.published"
    assert types.type_of("vehicle.blocked", actor="alice") is None


def test_a_halt_is_told_once_whoever_halts():
    by_engine = [types.type_of(action, actor="engine") for action in ("gate.halted", "campaign.notify")]
    by_tenant_stop = [types.type_of(action, actor="engine") for action in ("campaign.stopped", "campaign.notify")]
    by_person = [types.type_of("campaign.stopped", actor="alice")]

    for told in (by_engine, by_tenant_stop, by_person):
        assert [each.name for each in told if each is not None] == ["campaign.halted"]


def test_an_endpoint_without_names_gets_all_but_what_comes_by_the_thousand():
    unasked = {name for name in types.TYPES if not types.is_wanted(name, [])}

    assert unasked == {"assignment.settled", "webhook.test"}


@pytest.mark.parametrize(
    ("name", "patterns", "wanted"),
    [
        ("campaign.halted", ["campaign.halted"], True),
        ("campaign.halted", ["campaign.*"], True),
        ("campaign.halted", ["wave.*", "campaign.paused"], False),
        ("assignment.settled", ["assignment.*"], True),
    ],
)
def test_an_endpoint_gets_what_it_names(name, patterns, wanted):
    assert types.is_wanted(name, patterns) == wanted


def test_names_that_no_event_has_are_refused():
    assert types.patterns_problem(["campaign.*", "wave.passed"]) is None
    assert types.patterns_problem(["campaign.halt"]) == "There is no type of event 'campaign.halt'."
    assert types.patterns_problem(["*"]) == "There is no type of event '*'."


@pytest.mark.parametrize(
    ("label", "about"),
    [
        ("campaign:12 autumn 2: the return", envelope.Object("campaign", 12, "autumn 2: the return")),
        ("image root 3", envelope.Object("root", None, "image root 3")),
    ],
)
def test_what_an_event_is_about_is_read_from_the_audit_entry(label, about):
    assert envelope.object_of(label, action="root.published") == about


def test_an_event_is_a_cloud_event_in_structured_mode():
    about = envelope.Object("campaign", 12, "autumn")
    details = {"sentence": "Too many failed.", "wave": 2, "about": "gate.halted", "secret": "x"}
    data = envelope.data_of(types.TYPES["campaign.halted"], about, tenant="acme", actor="engine", details=details)

    made = envelope.document(
        id="8f", type="campaign.halted", tenant="acme", subject=about.subject, sequence=7, at=NOON, data=data
    )

    assert json.loads(envelope.body(made)) == {
        "specversion": "1.0",
        "id": "8f",
        "source": "urn:ota:tenant:acme",
        "type": "campaign.halted",
        "subject": "campaign/12",
        "time": "2026-06-01T12:00:00Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:ota:event-data:v1",
        "sequence": "00000000000000000007",
        "data": {
            "tenant": "acme",
            "actor": "engine",
            "object": {"kind": "campaign", "id": 12, "name": "autumn"},
            "sentence": "Too many failed.",
            "wave": 2,
            "details": {"about": "gate.halted"},
        },
    }


# Made with the reference library of standardwebhooks.com (Python 1.0.0, its own test).
REFERENCE_SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
REFERENCE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
REFERENCE_AT = datetime.fromtimestamp(1614265330, tz=UTC)
REFERENCE_BODY = b'{"test": 2432232314}'
REFERENCE_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_webhook_is_signed_as_the_reference_signs():
    key = base64.b64decode(REFERENCE_SECRET)

    made = signatures.headers([key], id=REFERENCE_ID, at=REFERENCE_AT, body=REFERENCE_BODY)

    assert made == {
        "webhook-id": REFERENCE_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": REFERENCE_SIGNATURE,
    }


def test_two_keys_sign_side_by_side():
    made = signatures.headers([b"new", b"old"], id="1", at=NOON, body=b"{}")
    signed = f"1.{int(NOON.timestamp())}.{{}}".encode()

    expected = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in (b"new", b"old")]
    assert made["webhook-signature"] == f"v1,{expected[0]} v1,{expected[1]}"


def test_a_secret_is_made_of_what_the_database_has_and_what_it_has_not():
    key = signatures.derive_key("server", "salt")

    assert len(key) == 32
    assert key not in (signatures.derive_key("server", "other"), signatures.derive_key("other", "salt"))
    assert base64.b64decode(signatures.shown(key).removeprefix("whsec_")) == key


def test_tries_come_later_and_later_and_end_after_three_days():
    at, waits = NOON, []
    for tries in range(1, retries.TRIES):
        due = retries.next_try(tries, at=at, draw=0.0)
        waits.append(due - at)
        at = due

    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (timedelta(seconds=5), timedelta(hours=32))
    assert timedelta(days=2, hours=23) < at - NOON < timedelta(days=3)
    assert retries.next_try(retries.TRIES, at=at, draw=0.0) is None


def test_what_failed_together_is_not_tried_together():
    assert retries.next_try(1, at=NOON, draw=1.0) == NOON + timedelta(seconds=6)


def test_an_endpoint_that_is_down_rests_five_minutes_at_most():
    assert [retries.rest(failures).total_seconds() for failures in (1, 2, 8, 9, 10**6)] == [2, 4, 256, 300, 300]


def test_an_endpoint_is_paused_after_three_days():
    assert not retries.must_pause(NOON, at=NOON + timedelta(days=3, seconds=-1))
    assert retries.must_pause(NOON, at=NOON + timedelta(days=3))


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
        *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "192.0.2.1"),
        *("::7f00:1", "::8.8.8.8", "64:ff9b:1::7f00:1", "fec0::1", "192.0.0.9", "192.0.0.170", "3fff::1", "5f00::1"),
    ],
)
def test_no_webhook_goes_to_an_address_that_is_not_public(address):
    assert not addresses.is_allowed(address, allowed=[])


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"])
def test_webhooks_go_to_public_addresses(address):
    assert addresses.is_allowed(address, allowed=[])


def test_a_network_that_is_named_is_allowed_and_no_other():
    allowed = [ip_network("10.1.0.0/16")]

    assert addresses.is_allowed("10.1.2.3", allowed=allowed)
    assert not addresses.is_allowed("10.2.2.3", allowed=allowed)


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "ftp://example.com/", "https:///path", "https://user:password@example.com/"),
        *("https://example.com/#part", "https://example.com:0/", "https://example.com:99999/", "javascript:x"),
        *("https://exa mple.com/", "https://ex\u00e4mple.com/", "https://[::1", "https://a/" + "x" * 500, ""),
    ],
)
def test_a_url_that_is_none_for_webhooks_is_refused(url):
    assert addresses.url_problem(url, requires_https=True) is not None


def test_plain_http_is_for_trying_alone():
    assert addresses.url_problem("http://example.com/", requires_https=False) is None
    assert addresses.url_problem("https://example.com:8443/hook?a=1", requires_https=True) is None
    assert addresses.host_of("https://example.com:8443/hook") == "example.com"
    assert [addresses.port_of(f"{one}/x") for one in ("https://a", "http://a", "https://a:8443")] == [443, 80, 8443]


def test_each_role_is_written_to_about_what_it_can_act_on():
    assert set(letters.BY_ROLE) == set(Role.values)
    assert {role for role, kinds in letters.BY_ROLE.items() if MailKind.APPROVALS in kinds} == {
        Role.APPROVER,
        Role.ADMINISTRATOR,
    }


def test_what_is_no_address_is_not_written_to():
    assert letters.addresses_problem(["fleet@example.com"]) is None
    for wrong in (
        "a,b@example.com",
        "a;b@example.com",
        "fleet",
        "a@b",
        "a b@example.com",
        "a@example.com\nBcc: x@example.com",
        "@example.com",
    ):
        assert letters.addresses_problem([wrong]) is not None
    assert letters.addresses_problem(["a@example.com"] * 21) is not None
    assert letters.kinds_problem(["halts", "spam"]) is not None
