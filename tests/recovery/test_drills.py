"""Something was stolen: what the thief signs is refused afterwards, and vehicles can still be updated."""

import hashlib
import json
import re
import shutil
import ssl
from dataclasses import replace
from datetime import timedelta
from io import StringIO

import httpx
import pytest
from django.core.management import CommandError, call_command

from clients.vehicle.agent import Agent
from clients.vehicle.hooks import WillingHooks
from firmware_store import signed_urls
from firmware_store.models import OnlineKey, RoleMetadata
from firmware_store.states import PackageState, Profile, Repository
from firmware_store.trust import operations as trust
from firmware_store.trust import publication
from firmware_store.trust.errors import MetadataSignatureError
from otaserver.audit.models import Entry
from otaserver.campaigns import operations as campaigns
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.states import CampaignState
from otaserver.director.models import VehicleMetadata
from otaserver.fleet.models import Credential, FleetAuthority, Vehicle
from otaserver.fleet.queries import authority_certificates
from otaserver.fleet.states import CredentialKind
from otaserver.tenants.models import Tenant
from tests.clients.vehicle.test_real_server import InProcess
from tests.clients.vehicle.vehicles import what_runs
from tests.director.signing_vehicle import EcuKey
from tests.director.trust import SUPPLIER, body, envelope, key_object, target
from tests.factories import make_tenant

pytestmark = pytest.mark.any_database


def drill(*arguments, **options):
    """Return the lines that a drill says, and whether anything was left open."""
    said = StringIO()
    try:
        call_command("drill", *arguments, **options, stdout=said)
    except CommandError as left:
        assert "are open" in str(left)
        return said.getvalue().splitlines(), False
    return said.getvalue().splitlines(), True


def rotate_release_role(road, version):
    """What `trust rotate-role` does: a new key in the delegation, and the same targets signed with it."""
    road.trust.supplier_key = EcuKey()
    at = road.clock.now
    top, own = {}, {}
    role = {
        "name": SUPPLIER,
        "keyids": [road.trust.supplier_key.keyid],
        "threshold": 1,
        "paths": [f"{SUPPLIER}/*"],
        "terminating": False,
    }
    targets = {package.target_name: target(package) for packages in road.packages.values() for package in packages}
    for profile in Profile:
        keys = {road.trust.supplier_key.keyid: key_object(road.trust.supplier_key.public, profile)}
        signed = body(
            "targets",
            version,
            at + timedelta(days=180),
            profile,
            targets={},
            delegations={"keys": keys, "roles": [role]},
        )
        top[profile] = envelope(signed, [road.trust.targets_key], profile)
        own[profile] = supplier_targets(road, road.trust.supplier_key, version, targets, profile)
    trust.publish_targets(
        road.tenant, "targets", top, expected_version=version - 1, by="test", at=at, resigned={SUPPLIER: own}
    )


def supplier_targets(road, key, version, targets, profile):
    signed = body("targets", version, road.clock.now + timedelta(days=180), profile, targets=targets)
    return envelope(signed, [key], profile)


class Deaf(InProcess):
    """The thief in the place of the server: what vehicles say gets lost."""

    def handle_request(self, request):
        if request.method == "POST":
            raise httpx.ConnectError("lost")
        return super().handle_request(request)


def what_the_thief_gets_for_it(road, folder):
    """Return how a vehicle that is just like the car, and whom the thief talks to, ends its cycle."""
    shutil.copytree(road.config.state_dir, folder, symlinks=True)
    config = replace(road.config, state_dir=folder)
    twin = Agent(config, hooks=WillingHooks(), transport=Deaf(), clock=road.clock, is_durable=False)
    ended = twin.run_once()
    return ended.status, ended.detail.partition(":")[0]


def resume(road):
    campaigns.resume_tenant(Tenant.objects.get(), by="test", at=road.clock.now, reason="Over.")
    campaigns.resume_campaign(Campaign.objects.get(), by="test", at=road.clock.now, reason="Over.")
    while campaigns.advance_campaign(Campaign.objects.get().pk, at=road.clock.now):
        pass


def test_a_stolen_release_key_signs_for_nothing_after_its_drill(road, tmp_path):
    thief = road.trust.supplier_key
    road.start_campaign()

    said, is_over = drill("release-key", "acme", SUPPLIER, stolen=thief.keyid, reason="Stolen.")

    assert "[done] No vehicle is told to install anything." in said
    assert not is_over
    assert any("4 packages; 1 campaigns under way bring them; 1 vehicles have an order" in line for line in said)
    assert road.agent.run_once().status == "idle"
    rotate_release_role(road, 2)
    said, is_over = drill("release-key", "acme", SUPPLIER, stolen=thief.keyid[:8], reason="Stolen.")
    assert is_over
    assert said[-1].strip() == "0 of 1 vehicles have called since the present targets were published."
    bodies = {profile: supplier_targets(road, thief, 3, {}, profile) for profile in Profile}
    with pytest.raises(MetadataSignatureError):
        trust.publish_targets(road.tenant, SUPPLIER, bodies, expected_version=2, by="thief", at=road.clock.now)
    resume(road)
    # Whoever holds the server as well can show it to vehicles all the same.
    publication.store(
        road.tenant,
        Repository.IMAGE,
        SUPPLIER,
        bodies,
        version=3,
        expires_at=road.clock.now + timedelta(days=180),
        at=road.clock.now,
    )
    publication.make_snapshot(road.tenant, at=road.clock.now)
    assert what_the_thief_gets_for_it(road, tmp_path / "twin") == ("never", "signature")
    RoleMetadata.objects.filter(role=SUPPLIER, version=3).delete()
    good = {
        profile: supplier_targets(road, road.trust.supplier_key, 3, current_targets(road), profile)
        for profile in Profile
    }
    trust.publish_targets(road.tenant, SUPPLIER, good, expected_version=2, by="test", at=road.clock.now)
    assert road.agent.run_once().status == "installed"
    assert what_runs(road.config.state_dir) == road.names("2.0")


def current_targets(road):
    return {package.target_name: target(package) for packages in road.packages.values() for package in packages}


def test_a_stolen_director_key_signs_for_nothing_after_its_drill(road, tmp_path):
    road.start_campaign()
    stolen = OnlineKey.objects.get(repository=Repository.DIRECTOR, role="targets")

    said, is_over = drill("director-key", "acme", stolen=stolen.keyid, reason="Stolen.")

    assert not is_over
    assert "[done] The next keys are made." in said
    road.trust.rotate_both(at=road.clock.now)
    said, is_over = drill("director-key", "acme", stolen=stolen.keyid, reason="Stolen.")
    assert is_over
    assert said[-1].strip() == "1 of 1 vehicles have not yet asked for anything signed with the new keys."
    assert road.agent.run_once().status == "idle"
    said, _ = drill("director-key", "acme", stolen=stolen.keyid, reason="Stolen.")
    assert said[-1].strip() == "0 of 1 vehicles have not yet asked for anything signed with the new keys."
    resume(road)
    # The thief, with the old keys, behind the address of the server.
    rows = OnlineKey.objects.filter(repository=Repository.DIRECTOR)
    new = set(rows.filter(retired_at=None).values_list("pk", flat=True))
    swap(rows, at=road.clock.now, back_to=set(rows.values_list("pk", flat=True)) - new)
    assert what_the_thief_gets_for_it(road, tmp_path / "twin") == ("never", "signature")
    swap(rows, at=road.clock.now, back_to=new)
    VehicleMetadata.objects.update(root_version=0)
    assert road.agent.run_once().status == "installed"


def swap(rows, *, back_to, at):
    """Sign with these of the Director's keys."""
    rows.update(retired_at=at)
    rows.filter(pk__in=back_to).update(retired_at=None)


def test_certificates_of_a_stolen_fleet_ca_are_good_for_nothing_after_its_drill(road):
    old = FleetAuthority.objects.get().certificate_pem
    stolen = hashlib.sha256(ssl.PEM_cert_to_DER_cert(old)).hexdigest()

    said, is_over = drill("fleet-ca", "acme", stolen=stolen, reason="Stolen.")

    assert is_over
    assert "[done] 0 certificates of the stolen CA are good." in said
    assert old.strip() not in authority_certificates(at=road.clock.now)
    held = Credential.objects.filter(kind=CredentialKind.CERTIFICATE, revoked_at=None)
    assert held.count() == 0
    road.start_campaign()
    assert road.agent.run_once().status == "installed"
    as_openssl_writes_it = ":".join(re.findall("..", stolen)).upper()
    assert drill("fleet-ca", "acme", stolen=as_openssl_writes_it, reason="Stolen.")[1]
    assert FleetAuthority.objects.count() == 1


@pytest.mark.django_db
def test_what_a_stolen_url_secret_signs_is_refused_after_its_drill(road, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    old = settings.URL_SECRET
    (tmp_path / "secrets.json").write_text(json.dumps({"secret_key": "kept", "url_secret": old}))
    stolen = hashlib.sha256(old.encode()).hexdigest()

    _, is_over = drill("url-secret", "acme", stolen=stolen, reason="Stolen.")

    assert not is_over
    kept = json.loads((tmp_path / "secrets.json").read_text())
    assert kept["secret_key"] == "kept"
    assert Entry.objects.get(action="url_secret.replaced").details == {"reason": "Stolen.", "secret": stolen[:16]}
    settings.URL_SECRET = kept["url_secret"]  # the restart
    assert drill("url-secret", "acme", stolen=stolen, reason="Stolen.")[1]
    expires = int(road.clock.now.timestamp()) + 60
    query = dict(part.split("=") for part in signed_urls.sign("0" * 64, expires=expires, secret=old).split("&"))
    assert not signed_urls.verify("0" * 64, **query, secret=settings.URL_SECRET, at=road.clock.now)
    road.start_campaign()
    assert road.agent.run_once().status == "installed"


@pytest.mark.django_db
def test_in_production_the_reason_is_on_record_before_people_replace_the_url_secret_and_its_end_afterwards(settings):
    make_tenant("acme")
    settings.IS_PRODUCTION, settings.URL_SECRET = True, "the old one"
    stolen = hashlib.sha256(b"the old one").hexdigest()
    drill("url-secret", "acme", dry_run=True)
    assert not Entry.objects.exists()

    for _ in range(2):
        said, is_over = drill("url-secret", "acme", stolen=stolen[:8], reason="It was in a log.")
        assert (is_over, "set OTA_URL_SECRET to" in said[-1]) == (False, True)
    settings.URL_SECRET = "the new one"  # the restart
    for digits in (stolen[:8], stolen):
        assert drill("url-secret", "acme", stolen=digits, reason="It was in a log.")[1]

    details = {"reason": "It was in a log.", "secret": stolen[:16]}
    assert [(entry.action, entry.details) for entry in Entry.objects.order_by("number")] == [
        ("url_secret.stolen", details),
        ("url_secret.replaced", details),
    ]


def test_a_withdrawn_package_is_brought_to_no_vehicle_after_its_drill(road):
    campaign = road.start_campaign()

    said, is_over = drill("withdrawn-package", "acme", "supplier/brake-2.0", reason="It fails in the cold.")

    assert not is_over
    assert said[0].strip().startswith("Before: 1 packages; 1 campaigns under way bring them; 1 vehicles have an order")
    campaign.refresh_from_db()
    assert campaign.state == CampaignState.HALTED
    road.trust.publish_images(*road.packages["1.0"], road.packages["2.0"][0], version=2, at=road.clock.now)
    road.packages["2.0"][1].move_to(PackageState.WITHDRAWN)
    said, is_over = drill("withdrawn-package", "acme", "supplier/brake-2.0", reason="It fails in the cold.")
    assert is_over
    assert said[-1].strip().startswith("0 vehicles run it")
    assert road.agent.run_once().status == "idle"
    assert what_runs(road.config.state_dir) == road.names("1.0")


def test_what_a_halt_let_go_on_is_taken_back_too_when_its_package_must_not_run(road):
    campaign = road.start_campaign()
    campaign.move_to(CampaignState.HALTED, reason="Too many have failed.", keeps_orders=True)

    said, _ = drill("withdrawn-package", "acme", "supplier/brake-2.0", reason="It fails in the cold.")

    assert said[0].strip().startswith("Before: 1 packages; 1 campaigns under way bring them; 1 vehicles have an order")
    assert "[done] 0 campaigns bring it." in said
    assert "[done] 0 vehicles are ordered to take it; 0 are installing it, and end that." in said
    campaign.refresh_from_db()
    assert (campaign.state, campaign.keeps_orders) == (CampaignState.HALTED, False)
    assert road.agent.run_once().status == "idle"
    assert what_runs(road.config.state_dir) == road.names("1.0")


def test_a_dry_run_says_how_much_is_reached_and_changes_nothing(road):
    road.start_campaign()

    for arguments in (
        ("release-key", "acme", SUPPLIER),
        ("director-key", "acme"),
        ("fleet-ca", "acme"),
        ("url-secret", "acme"),
        ("withdrawn-package", "acme", "supplier/brake-2.0"),
    ):
        said, is_over = drill(*arguments, dry_run=True)
        assert is_over
        assert any(line.startswith("[open]") for line in said)

    assert Tenant.objects.get().stopped_at is None
    assert (Campaign.objects.get().state, OnlineKey.objects.filter(activated_at=None).count()) == ("running", 0)
    assert Credential.objects.exclude(revoked_at=None).count() == 0
    assert road.agent.run_once().status == "installed"


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        (("director-key", "acme"), {"reason": "Stolen."}, "--stolen says which"),
        (("director-key", "acme"), {"stolen": "12345678"}, "--reason is needed"),
        (("director-key", "nobody"), {"dry_run": True}, "There is no tenant"),
        (("director-key", "acme"), {"stolen": "not hexadecimal", "reason": "Stolen."}, "hexadecimal digits"),
        # What is mistyped is not there, and so would be done.
        (("release-key", "acme", SUPPLIER), {"stolen": "0123456789", "reason": "Stolen."}, "There is and was no key"),
        (("director-key", "acme"), {"stolen": "0123456789", "reason": "Stolen."}, "There is and was no key"),
        (("fleet-ca", "acme"), {"stolen": "0123456789", "reason": "Stolen."}, "There is and was no CA"),
        (("release-key", "acme", "brakes"), {"dry_run": True}, "delegate to no role"),
        (("withdrawn-package", "acme", "supplier/none-1"), {"dry_run": True}, "has published no package"),
    ],
)
def test_a_drill_about_nothing_is_refused(road, arguments, options, sentence):
    with pytest.raises(CommandError, match=sentence):
        call_command("drill", *arguments, **options, stdout=StringIO())

    assert (Tenant.objects.get().stopped_at, Vehicle.objects.count()) == (None, 1)
