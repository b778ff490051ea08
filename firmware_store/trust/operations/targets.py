from collections.abc import Callable, Mapping
from datetime import datetime

from django.db import transaction

from firmware_store.models import Package
from firmware_store.states import PackageState, Repository
from firmware_store.trust import profiles, publication, queries
from firmware_store.trust.contents import RoleKeys, Target, TargetsContent
from firmware_store.trust.errors import (
    DelegationInUseError,
    DelegationRefusedError,
    KeySharedError,
    MetadataSignatureError,
    ResignedRoleMissingError,
    TargetsChangedError,
)
from firmware_store.trust.publication import Bodies
from otaserver.audit import operations as audit
from otaserver.tenants.models import Tenant

Targets = Mapping[str, Target]


@transaction.atomic
def publish_targets(
    tenant: Tenant,
    role: str,
    bodies: Bodies,
    *,
    expected_version: int,
    by: str,
    at: datetime,
    resigned: Mapping[str, Bodies] | None = None,
) -> None:
    """Publish the next top-level targets (`role` is "targets"), or a delegated role signed anew with the same targets.

    `expected_version` is the one that the signer built on, 0 for none. Top-level targets that name other keys for a
    delegated role than signed its current metadata need that role signed anew in `resigned`. The online metadata is
    made anew in the same transaction.

    Raises:
        MetadataStaleError: somebody else published first.
        RefusedError, ConflictError: the body breaks a rule; see the concrete error's code.
    """
    publication.lock(tenant)
    if role == "targets":
        accept_top_level(tenant, bodies, expected_version=expected_version, at=at, resigned=resigned)
    else:
        accept_delegated(tenant, role, bodies, expected_version=expected_version, check=_require_same, at=at)
    publication.make_snapshot(tenant, at=at)
    audit.record("targets.published", f"image {role} {expected_version + 1}", tenant=tenant, by=by, at=at)


@transaction.atomic
def publish_delegated(
    tenant: Tenant,
    role: str,
    bodies: Bodies,
    *,
    expected_version: int,
    check: Callable[[Targets, Targets], None],
    at: datetime,
) -> None:
    """Publish a delegated role whose targets change as `check` (before, after) lets them, or raises.

    Writes no audit record: the caller knows what the change means.

    Raises:
        RoleNotDelegatedError: the top-level targets do not delegate to it.
        MetadataStaleError: somebody else published first.
        RefusedError: the body breaks a rule, or `check` refuses it.
    """
    publication.lock(tenant)
    accept_delegated(tenant, role, bodies, expected_version=expected_version, check=check, at=at)
    publication.make_snapshot(tenant, at=at)


def accept_top_level(
    tenant: Tenant,
    bodies: Bodies,
    *,
    expected_version: int,
    at: datetime,
    resigned: Mapping[str, Bodies] | None = None,
) -> None:
    """Check and store top-level targets, and the delegated roles that are signed anew with them; inside a transaction.

    Raises:
        As `publish_targets`.
    """
    root = queries.current_root(tenant, Repository.IMAGE)
    content = _stored(tenant, "targets", bodies, root.roles["targets"], expected_version=expected_version, at=at)
    if content.targets or content.delegations is None:
        raise DelegationRefusedError("The top-level targets list no packages, only delegations.")
    top_level_keys = {keyid for role in root.roles.values() for keyid in role.keys}
    for role, keys in content.delegations.items():
        if top_level_keys & set(keys.keys):
            raise KeySharedError(f"Role {role} shares a key with a top-level role.", role=role)
    _require_unused(tenant, set(content.delegations))
    for role, role_bodies in (resigned or {}).items():
        version = queries.latest_version(tenant, Repository.IMAGE, role)
        accept_delegated(tenant, role, role_bodies, expected_version=version, check=_require_same, at=at)
    for role, keys in content.delegations.items():
        _require_still_signed(tenant, role, keys)


def accept_delegated(
    tenant: Tenant,
    role: str,
    bodies: Bodies,
    *,
    expected_version: int,
    check: Callable[[Targets, Targets], None],
    at: datetime,
) -> None:
    """Check and store a delegated role; inside a transaction.

    Raises:
        As `publish_delegated`.
    """
    keys = queries.delegated_role(tenant, role)
    before = queries.current_targets(tenant, role)
    content = _stored(tenant, role, bodies, keys, expected_version=expected_version, at=at)
    if content.delegations is not None:
        raise DelegationRefusedError("A release role delegates no further.", role=role)
    check(before.targets if before else {}, content.targets)


def _stored(
    tenant: Tenant, role: str, bodies: Bodies, keys: RoleKeys, *, expected_version: int, at: datetime
) -> TargetsContent:
    envelopes = publication.read_targets(tenant, bodies)
    content = profiles.agreed_content(envelopes)
    latest = queries.latest_version(tenant, Repository.IMAGE, role)
    publication.require_next_version(content.version, latest=latest, expected=expected_version)
    publication.require_signatures(envelopes, keys)
    publication.require_sane_life(role, content.expires_at, at=at)
    publication.store(
        tenant, Repository.IMAGE, role, bodies, version=content.version, expires_at=content.expires_at, at=at
    )
    return content


def _require_same(before: Targets, after: Targets) -> None:
    if before != after:
        raise TargetsChangedError(
            "Signing anew changes no target: packages enter by publication and leave by withdrawal."
        )


def _require_unused(tenant: Tenant, delegated: set[str]) -> None:
    published = Package.objects.filter(tenant=tenant, state=PackageState.PUBLISHED)
    orphaned = sorted(set(published.values_list("role", flat=True)) - delegated)
    if orphaned:
        raise DelegationInUseError(
            f"Published packages need the delegation of {', '.join(orphaned)}: withdraw them first.", roles=orphaned
        )


def _require_still_signed(tenant: Tenant, role: str, keys: RoleKeys) -> None:
    try:
        publication.require_signatures(publication.current_envelopes(tenant, role), keys)
    except MetadataSignatureError as error:
        raise ResignedRoleMissingError(
            f"The current metadata of {role} is not signed by the keys it is now delegated to; send it signed anew.",
            role=role,
        ) from error
