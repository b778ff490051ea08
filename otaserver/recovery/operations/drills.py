"""What is done when something was stolen or must not run: each drill does its part, says what is left, and looks.

A drill is repeated until all its lines are done; repeating does nothing twice. `does` False looks alone.
"""

import hashlib
import json
import secrets
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db.models import QuerySet

from firmware_store.models import OnlineKey, Package, RoleMetadata
from firmware_store.states import PackageState, Profile, Repository
from firmware_store.trust import operations as trust
from firmware_store.trust import queries as trust_queries
from otaserver.audit import operations as audit
from otaserver.campaigns import operations as campaigns
from otaserver.director.models import VehicleMetadata
from otaserver.fleet import operations as fleet
from otaserver.fleet import queries as fleet_queries
from otaserver.fleet.contact_hours import last_contact
from otaserver.fleet.lifecycle_models import RetiredAuthority
from otaserver.fleet.models import Credential, FleetAuthority, Vehicle
from otaserver.fleet.states import CredentialKind
from otaserver.recovery import exposure
from otaserver.recovery.errors import DrillUnknownError
from otaserver.tenants.models import Tenant

# Of a key's id, or of a digest, so many digits are told.
SHOWN = 16


@dataclass(frozen=True)
class Line:
    """One step or finding. `is_done` None: it is told, and nothing waits for it."""

    sentence: str
    is_done: bool | None = None


@dataclass(frozen=True)
class Drill:
    """Who carries it out, why, when, and whether anything is done at all."""

    tenant: Tenant
    reason: str
    by: str
    at: datetime
    does: bool


def release_key(drill: Drill, role: str, stolen: str) -> Iterator[Line]:
    """The key of a release role was stolen: everything stands still until the role has another.

    Raises:
        RoleNotDelegatedError: there is no such role.
        DrillUnknownError: no key with these digits has ever signed for it.
    """
    keys = trust_queries.delegated_role(drill.tenant, role)
    stated = RoleMetadata.objects.filter(tenant=drill.tenant, repository=Repository.IMAGE, role="targets")
    _require_known(stolen, any(f'"{stolen}'.encode() in bytes(row.body) for row in stated), f"key of role {role}")
    reached = exposure.exposure(drill.tenant, exposure.packages_of(drill.tenant, role))
    yield Line(f"Role {role} is signed for by {', '.join(sorted(keys.keys))}.")
    yield Line(f"What it has signed: {reached}. Look through the list of its packages for one that is not yours.")
    is_gone = not _named(stolen, keys.keys)
    yield from _standing_still(drill, is_over=is_gone)
    yield Line(
        f"Key {stolen[:SHOWN]} signs for {role} no more"
        + ("." if is_gone else f": run `python -m clients.publisher trust rotate-role {role}`."),
        is_gone,
    )
    newest = trust_queries.role_metadata(drill.tenant, Repository.IMAGE, "targets", Profile.TUF)
    yield _seen_since(drill.tenant, newest.created_at, "the present targets", is_over=is_gone)


def director_key(drill: Drill, stolen: str) -> Iterator[Line]:
    """An online key of the Director was stolen: its next keys wait for a root that lists them.

    Raises:
        DrillUnknownError: none of its keys has ever had these digits.
    """
    every = OnlineKey.objects.filter(tenant=drill.tenant, repository=Repository.DIRECTOR)
    _require_known(stolen, every.filter(keyid__startswith=stolen).exists(), "key of the Director")
    rows = every.filter(retired_at=None)
    active = list(rows.filter(activated_at__isnull=False).values_list("keyid", flat=True))
    yield Line(f"The Director signs with {', '.join(sorted(active))}.")
    is_gone = not _named(stolen, active)
    yield from _standing_still(drill, is_over=is_gone)
    if drill.does and not is_gone:
        trust.create_online_keys(drill.tenant, at=drill.at, rotate=True)
    waiting = rows.filter(activated_at=None).count()
    yield Line("The next keys are made" + ("." if is_gone or waiting else ": not yet."), is_gone or waiting > 0)
    yield Line(
        f"Key {stolen[:SHOWN]} is named by no present root"
        + ("." if is_gone else ": run `python -m clients.publisher trust rotate-root`, with the root keys at hand."),
        is_gone,
    )
    root = trust_queries.latest_version(drill.tenant, Repository.DIRECTOR, "root")
    signed = VehicleMetadata.objects.filter(vehicle__tenant=drill.tenant)
    behind = signed.exclude(root_version=root).count() if is_gone else signed.count()
    yield Line(f"{behind} of {signed.count()} vehicles have not yet asked for anything signed with the new keys.")


def fleet_ca(drill: Drill, stolen: str) -> Iterator[Line]:
    """The key of the CA of vehicles' certificates was stolen: none of its certificates is good any more.

    Raises:
        DrillUnknownError: no CA of the tenant has ever had these digits.
    """
    present = FleetAuthority.objects.filter(tenant=drill.tenant).first()
    every = list(drill.tenant.retired_authorities.values_list("certificate_pem", flat=True))
    every += [present.certificate_pem] if present is not None else []
    _require_known(stolen, _named(stolen, map(_fingerprint, every)), "CA of the fleet")
    if present is not None:
        yield Line(f"The CA that issues has the SHA-256 {_fingerprint(present.certificate_pem)}.")
        if drill.does and _named(stolen, [_fingerprint(present.certificate_pem)]):
            fleet.rotate_fleet_authority(drill.tenant, reason=drill.reason, by=drill.by, at=drill.at)
            present.refresh_from_db()
    is_replaced = present is None or not _named(stolen, [_fingerprint(present.certificate_pem)])
    yield Line("Another CA issues" + ("." if is_replaced else ": not yet."), is_replaced)
    retired = [each for each in drill.tenant.retired_authorities.order_by("pk") if _named_ca(stolen, each)]
    for authority in retired:
        if drill.does and authority.ended_at is None:
            fleet.end_retired_authority(
                authority, reason=drill.reason, by=drill.by, at=drill.at, ends_certificates=True
            )
    live = sum(fleet_queries.certificates_of(each, at=drill.at).count() for each in retired)
    if not is_replaced:
        live = _live(drill, CredentialKind.CERTIFICATE).count()
    has_ended = is_replaced and all(each.ended_at is not None for each in retired) and live == 0
    yield Line(f"{live} certificates of the stolen CA are good.", has_ended)
    yield _proxies(stolen, drill.at)
    tokens = _live(drill, CredentialKind.TOKEN).values("vehicle")
    enrolled = Vehicle.objects.filter(tenant=drill.tenant, enrolled_at__isnull=False)
    yield Line(
        f"{enrolled.filter(pk__in=tokens).count()} of {enrolled.count()} vehicles have a token, and get a certificate "
        "of the new CA with their next renewal; the others need a claim code, or their protocol's own way in."
    )


def url_secret(drill: Drill, stolen: str) -> Iterator[Line]:
    """The secret that signs download addresses was stolen: what it signed opens nothing."""
    yield Line(f"The secret that signs now is {_digest(settings.URL_SECRET)}.")
    yield Line(
        "Packages could be read with it, by anybody; nothing could be installed. Addresses that were given out are "
        f"good for at most {settings.DOWNLOAD_URL_SECONDS} seconds, and not with another secret: vehicles ask again."
    )
    present = _digest(settings.URL_SECRET)
    is_gone = not _named(stolen, [present])
    sentence = f"What {stolen[:SHOWN]} signs is refused"
    if is_gone:
        known = _on_record(drill, "url_secret.stolen", stolen)
        if drill.does and known:
            _put_on_record(drill, "url_secret.replaced", known)
        if not known and not _on_record(drill, "url_secret.replaced", stolen):
            yield Line("No drill has it on record: see that the digits are those of the secret of before.")
        yield Line(sentence + ".", True)
    elif settings.IS_PRODUCTION:
        made = secrets.token_urlsafe(48)
        if drill.does:
            # People replace it, on every host: that it was stolen, and why they do, is known now.
            _put_on_record(drill, "url_secret.stolen", present)
        yield Line(f"{sentence}: set OTA_URL_SECRET to {made} on all hosts, and restart web and downloads.", False)
    else:
        place = settings.VAR_DIR / "secrets.json"
        if drill.does:
            _replace_secret(place)
            _put_on_record(drill, "url_secret.replaced", present)
        yield Line(f"A new one stands in {place}: restart the server." if drill.does else f"{place} gets a new one.")
        yield Line(f"{sentence}: not before the restart.", False)


def withdrawn_package(drill: Drill, target_name: str) -> Iterator[Line]:
    """A published package must not run: no campaign brings it, no vehicle is ordered to take it, it is not signed.

    Raises:
        DrillUnknownError: the tenant never published it.
    """
    package = Package.objects.filter(
        tenant=drill.tenant,
        target_name=target_name,
        state__in=[PackageState.PUBLISHED, PackageState.WITHDRAWN],
    ).first()
    if package is None:
        raise DrillUnknownError(f"{drill.tenant} has published no package {target_name!a}.")
    yield Line(f"Before: {exposure.exposure(drill.tenant, [package.pk])}.")
    if drill.does:
        for campaign in exposure.campaigns_with(drill.tenant, [package.pk]):
            campaigns.stop_campaign(campaign, by=drill.by, at=drill.at, reason=drill.reason)
    left = exposure.campaigns_with(drill.tenant, [package.pk]).count()
    yield Line(f"{left} campaigns bring it.", left == 0)
    is_withdrawn = package.state == PackageState.WITHDRAWN
    yield Line(
        f"{target_name} is in no signed targets"
        + ("." if is_withdrawn else f": run `python -m clients.publisher withdraw {target_name}`."),
        is_withdrawn,
    )
    installing = exposure.installing(drill.tenant, [target_name])
    ordered = exposure.ordered(drill.tenant, [target_name]).count() - installing
    yield Line(
        f"{ordered} vehicles are ordered to take it; {installing} are installing it, and end that.", ordered == 0
    )
    running = exposure.exposure(drill.tenant, [package.pk]).running
    yield Line(f"{running} vehicles run it: bring them another release, by a roll-back or a campaign.")


def _standing_still(drill: Drill, *, is_over: bool) -> Iterator[Line]:
    if is_over:
        if drill.tenant.stopped_at is not None:
            yield Line("Everything is stopped still: the console, or POST /api/v1/tenant/resume, ends that.")
        return
    if drill.does and drill.tenant.stopped_at is None:
        campaigns.stop_tenant(drill.tenant, by=drill.by, at=drill.at, reason=drill.reason)
    is_stopped = drill.tenant.stopped_at is not None
    yield Line("No vehicle is told to install anything" + ("." if is_stopped else ": not stopped yet."), is_stopped)


def _put_on_record(drill: Drill, action: str, secret: str) -> None:
    """Record it once, however often the drill is repeated."""
    if not _on_record(drill, action, secret):
        tenant, shown = drill.tenant, secret[:SHOWN]
        audit.record(action, tenant, tenant=tenant, by=drill.by, at=drill.at, reason=drill.reason, secret=shown)


def _on_record(drill: Drill, action: str, stolen: str) -> str:
    rows = drill.tenant.audit_entries.filter(action=action, details__secret__startswith=stolen[:SHOWN])
    return next((str(entry.details["secret"]) for entry in rows[:1]), "")


def _seen_since(tenant: Tenant, since: datetime, what: str, *, is_over: bool) -> Line:
    enrolled = Vehicle.objects.filter(tenant=tenant, enrolled_at__isnull=False)
    called = enrolled.filter(last_contact("gt", since)).count() if is_over else 0
    return Line(f"{called} of {enrolled.count()} vehicles have called since {what} were published.")


def _proxies(stolen: str, at: datetime) -> Line:
    bundle = fleet_queries.authority_certificates(at=at)
    place = Path(settings.AUTHORITIES_FILE) if settings.AUTHORITIES_FILE else None
    text = place.read_text() if place is not None and place.exists() else bundle
    parts = [f"{part}-----END CERTIFICATE-----" for part in text.split("-----END CERTIFICATE-----")[:-1]]
    is_gone = not _named(stolen, [_fingerprint(part.strip()) for part in parts])
    where = f"{place}" if place is not None else "what `manage.py fleet_authorities` writes (run it for every nginx)"
    return Line(f"The stolen CA is not in {where}" + ("." if is_gone else ": not yet; a tick writes it."), is_gone)


def _live(drill: Drill, kind: CredentialKind) -> QuerySet[Credential]:
    return Credential.objects.filter(vehicle__tenant=drill.tenant, kind=kind, revoked_at=None, expires_at__gt=drill.at)


def _require_known(stolen: str, is_known: bool, what: str) -> None:
    """Digits that are mistyped name nothing, and what names nothing would look as if it were done."""
    if stolen and not is_known:
        raise DrillUnknownError(
            f"There is and was no {what} with the digits {stolen}: --dry-run shows the present ones."
        )


def _named(stolen: str, present: Iterable[str]) -> bool:
    return any(each.startswith(stolen) for each in present)


def _named_ca(stolen: str, authority: RetiredAuthority) -> bool:
    return _fingerprint(authority.certificate_pem).startswith(stolen)


def _fingerprint(pem: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _replace_secret(place: Path) -> None:
    kept = json.loads(place.read_text())
    new = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    new.touch(mode=0o600)
    new.write_text(json.dumps(kept | {"url_secret": secrets.token_urlsafe(48)}))
    new.replace(place)
