from datetime import datetime

from django.db import transaction

from firmware_store.models import OnlineKey, RoleMetadata
from firmware_store.states import Repository
from firmware_store.trust import primitives, profiles, publication, queries
from firmware_store.trust.contents import RootContent
from firmware_store.trust.errors import MetadataSignatureError, OnlineKeysError, ResignedRoleMissingError
from firmware_store.trust.operations.targets import accept_top_level
from firmware_store.trust.profiles import Envelope
from firmware_store.trust.publication import Bodies
from otaserver.audit import operations as audit
from otaserver.tenants.models import Tenant


@transaction.atomic
def publish_root(
    tenant: Tenant, repository: str, bodies: Bodies, *, by: str, at: datetime, targets: Bodies | None = None
) -> None:
    """Publish the first root of a repository, or the next one, in all its profiles (Uptane 5.4.4.3, TUF 1.0, 5.3).

    The next one is signed by a threshold of the old and of the new root keys. Online keys that waited for it become
    active, the ones they replace retire, and the Image repository's online metadata is signed anew. Where a new Image
    root names other keys for the top-level targets than signed the current ones, the newly signed `targets` come with
    it, since vehicles could verify nothing in between. Publishing the current root once more changes nothing.

    Raises:
        MetadataStaleError: there is another root of this version.
        RefusedError: the root breaks a rule; see the concrete error's code.
    """
    publication.lock(tenant)
    latest = queries.latest_version(tenant, repository, "root")
    if latest and _is_published(tenant, repository, latest, bodies):
        return
    envelopes = publication.read_root(tenant, repository, bodies)
    root = profiles.agreed_content(envelopes)
    # A root says itself what it follows: the one before.
    publication.require_next_version(root.version, latest=latest, expected=min(root.version - 1, latest))
    require_both_signed(tenant, repository, envelopes, root, is_first=latest == 0)
    publication.require_sane_life("root", root.expires_at, at=at)
    _require_online_keys(tenant, repository, root)
    publication.store(tenant, repository, "root", bodies, version=root.version, expires_at=root.expires_at, at=at)
    activate_online_keys(tenant, repository, root, at=at)
    if repository == Repository.IMAGE:
        _carry_targets_over(tenant, root, targets, at=at)
    audit.record(
        "root.published",
        f"{repository} root {root.version}",
        tenant=tenant,
        by=by,
        at=at,
        keys=sorted(root.roles["root"].keys),
        threshold=root.roles["root"].threshold,
    )


def _is_published(tenant: Tenant, repository: str, version: int, bodies: Bodies) -> bool:
    rows = RoleMetadata.objects.filter(tenant=tenant, repository=repository, role="root", version=version)
    return {row.profile: bytes(row.body) for row in rows} == dict(bodies)


def require_both_signed(
    tenant: Tenant, repository: str, envelopes: list[Envelope[RootContent]], root: RootContent, *, is_first: bool
) -> None:
    """Check that a root is signed by its own keys, and by those of the root before it unless it is the first.

    Raises:
        MetadataSignatureError: it is not.
    """
    new = root.roles["root"]
    if is_first:
        publication.require_signatures(envelopes, new)
        return
    old = queries.current_root(tenant, repository).roles["root"]
    publication.require_signatures(envelopes, old, also=new.keys)
    publication.require_signatures(envelopes, new, also=old.keys)


def _require_online_keys(tenant: Tenant, repository: str, root: RootContent) -> None:
    ours = queries.online_keys(tenant, repository)
    for role in queries.ONLINE_ROLES[repository]:
        key = ours.get(role)
        named = root.roles[role]
        if key is None or set(named.keys) != {primitives.keyid_of(key)}:
            raise OnlineKeysError(
                f"Role {role} has to name exactly this server's online key for it, with threshold 1.", role=role
            )


def activate_online_keys(tenant: Tenant, repository: str, root: RootContent, *, at: datetime) -> None:
    """Sign with the online keys that this root names from now on, and with no others."""
    listed = [keyid for role in queries.ONLINE_ROLES[repository] for keyid in root.roles[role].keys]
    keys = OnlineKey.objects.filter(tenant=tenant, repository=repository, retired_at=None)
    keys.exclude(keyid__in=listed).update(retired_at=at)
    keys.filter(keyid__in=listed, activated_at=None).update(activated_at=at)


def _carry_targets_over(tenant: Tenant, root: RootContent, targets: Bodies | None, *, at: datetime) -> None:
    current = publication.current_envelopes(tenant, "targets")
    if targets is not None:
        accept_top_level(tenant, targets, expected_version=current[0].content.version if current else 0, at=at)
    elif current:
        try:
            publication.require_signatures(current, root.roles["targets"])
        except MetadataSignatureError as error:
            raise ResignedRoleMissingError(
                "The current targets are not signed by this root's targets keys; send targets that are along with it.",
                role="targets",
            ) from error
    if current or targets is not None:
        publication.make_snapshot(tenant, at=at)
