"""How a signed body gets into a repository: read, checked against its role, stored in every profile, and the Image
repository's online metadata made anew, all in the caller's transaction.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from firmware_store.models import RoleMetadata
from firmware_store.states import Profile, Repository
from firmware_store.trust import outside, profiles, queries, reading, signing
from firmware_store.trust.contents import PublicKey, RoleKeys, RootContent, TargetsContent
from firmware_store.trust.errors import (
    MetadataLifetimeError,
    MetadataProfilesError,
    MetadataStaleError,
    MetadataVersionError,
)
from firmware_store.trust.profiles import Envelope
from otaserver.tenants.models import Tenant

Bodies = Mapping[Profile, bytes]

SHORTEST_LIFE = timedelta(days=1)
# Root and top-level targets are made for a year, release roles for half; twice that is a slip of the pen.
LONGEST_LIFE = {"root": timedelta(days=731), "targets": timedelta(days=731)}
LONGEST_LIFE_OF_RELEASE_ROLES = timedelta(days=366)
SNAPSHOT_LIFE = timedelta(days=7)
TIMESTAMP_LIFE = timedelta(days=1)


def lock(tenant: Tenant) -> None:
    """Let one publication at a time go on in this tenant, until the end of the transaction; taken before other rows."""
    # On SQLite a transaction is alone from its beginning, and this only reads.
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)


def read_root(tenant: Tenant, repository: str, bodies: Bodies) -> list[Envelope[RootContent]]:
    """Read a root in all the profiles of its repository; the first root chooses them.

    Raises:
        MetadataProfilesError: a profile is missing or too many.
        RefusedError: one of the bodies breaks a rule.
    """
    wanted = queries.profiles_of(tenant, repository) or _chosen(bodies)
    is_aktualizr_on = Profile.AKTUALIZR in wanted
    return [
        profiles.read_root(body, profile, is_aktualizr_on=is_aktualizr_on)
        for profile, body in _complete(bodies, wanted)
    ]


def read_targets(tenant: Tenant, bodies: Bodies) -> list[Envelope[TargetsContent]]:
    """Read targets of the Image repository, which has a root, in all its profiles.

    Raises:
        MetadataProfilesError: a profile is missing or too many.
        RefusedError: one of the bodies breaks a rule.
    """
    wanted = queries.profiles_of(tenant, Repository.IMAGE)
    is_aktualizr_on = Profile.AKTUALIZR in wanted
    return [
        profiles.read_targets(body, profile, is_aktualizr_on=is_aktualizr_on)
        for profile, body in _complete(bodies, wanted)
    ]


def current_envelopes(tenant: Tenant, role: str) -> list[Envelope[TargetsContent]]:
    """Return the current targets of a role as they are stored, in every profile; none where there are none."""
    version = queries.latest_version(tenant, Repository.IMAGE, role)
    rows = RoleMetadata.objects.filter(tenant=tenant, repository=Repository.IMAGE, role=role, version=version)
    return [profiles.read_targets(bytes(row.body), Profile(row.profile), is_aktualizr_on=False) for row in rows]


def require_next_version(version: int, *, latest: int, expected: int) -> None:
    """Check that a body is the successor of `latest`, and that this is the version its signer `expected` to be current.

    Raises:
        MetadataStaleError: that one is no longer the current.
        MetadataVersionError: the number does not follow.
    """
    if latest != expected:
        raise MetadataStaleError(
            f"The current version is {latest}: somebody else was first. Sign again on top of it.", version=latest
        )
    if version != latest + 1:
        raise MetadataVersionError(f"The version is {version}; it has to be {latest + 1}.", version=latest + 1)


def require_sane_life(role: str, expires_at: datetime, *, at: datetime) -> None:
    """Check that metadata lives between a day and about twice the usual time.

    Raises:
        MetadataLifetimeError: it does not.
    """
    longest = LONGEST_LIFE.get(role, LONGEST_LIFE_OF_RELEASE_ROLES)
    if not at + SHORTEST_LIFE <= expires_at <= at + longest:
        raise MetadataLifetimeError(
            f"{role} expires at {reading.utc_text(expires_at)}; from now that has to be 1 to {longest.days} days.",
            expires=reading.utc_text(expires_at),
        )


def require_signatures(
    envelopes: Iterable[Envelope[profiles.Content]], role: RoleKeys, *, also: Mapping[str, PublicKey] | None = None
) -> None:
    """Check the signatures of a role's body in every profile.

    Raises:
        MetadataSignatureError: in one of them too few hold, or one is unknown or wrong.
    """
    for envelope in envelopes:
        profiles.require_signatures(envelope, role, also=also)


def store(
    tenant: Tenant, repository: str, role: str, bodies: Bodies, *, version: int, expires_at: datetime, at: datetime
) -> None:
    """Store one version of a role in every profile. The unique version is the last guard against two publishers."""
    outside.keep_published(tenant, repository, role, version, bodies)
    for profile, body in bodies.items():
        RoleMetadata.objects.create(
            tenant=tenant,
            repository=repository,
            role=role,
            profile=profile,
            version=version,
            body=body,
            sha256=hashlib.sha256(body).hexdigest(),
            expires_at=expires_at,
            created_at=at,
        )


def make_snapshot(tenant: Tenant, *, at: datetime) -> None:
    """Sign the Image repository's snapshot anew, and with it the timestamp.

    It lists every role that ever had metadata: one that is delegated no more may not vanish (Uptane 5.2.4).
    """
    rows = queries.newest_metadata(tenant).filter(repository=Repository.IMAGE).exclude(role__in=queries.NOT_TARGETS)
    meta = {f"{role}.json": {"version": version} for role, version in rows.values_list("role", "version")}
    _sign(tenant, "snapshot", dict.fromkeys(_image_profiles(tenant), meta), life=SNAPSHOT_LIFE, at=at)
    make_timestamp(tenant, at=at)


def make_timestamp(tenant: Tenant, *, at: datetime) -> None:
    """Sign the Image repository's timestamp anew over its current snapshot."""
    metas = {}
    for profile in _image_profiles(tenant):
        row = queries.role_metadata(tenant, Repository.IMAGE, "snapshot", profile)
        entry = {"version": row.version, "length": len(row.body), "hashes": {"sha256": row.sha256}}
        metas[profile] = {"snapshot.json": entry}
    _sign(tenant, "timestamp", metas, life=TIMESTAMP_LIFE, at=at)


def _sign(
    tenant: Tenant, role: str, metas: Mapping[Profile, Mapping[str, object]], *, life: timedelta, at: datetime
) -> None:
    signer = signing.online_signer(tenant, Repository.IMAGE, role)
    floor = Tenant.objects.values_list("version_floor", flat=True).get(pk=tenant.pk)
    version = max(queries.latest_version(tenant, Repository.IMAGE, role), floor) + 1
    outside.note_issued(tenant, Repository.IMAGE, version)
    expires_at = (at + life).replace(microsecond=0)
    bodies = {}
    for profile, meta in metas.items():
        signed = profiles.header(role, version=version, expires_at=expires_at, profile=profile) | {"meta": meta}
        bodies[profile] = signer.envelope(signed, profile)
    store(tenant, Repository.IMAGE, role, bodies, version=version, expires_at=expires_at, at=at)


def _image_profiles(tenant: Tenant) -> tuple[Profile, ...]:
    return queries.profiles_of(tenant, Repository.IMAGE)


def _chosen(bodies: Bodies) -> tuple[Profile, ...]:
    if Profile.TUF not in bodies:
        raise MetadataProfilesError("The profile tuf-1.0 is always there.")
    return tuple(sorted(bodies, reverse=True))


def _complete(bodies: Bodies, wanted: tuple[Profile, ...]) -> list[tuple[Profile, bytes]]:
    if set(bodies) != set(wanted):
        raise MetadataProfilesError(
            f"This repository is signed for {', '.join(wanted)}: one body for each.", profiles=list(wanted)
        )
    return [(profile, bodies[profile]) for profile in wanted]
