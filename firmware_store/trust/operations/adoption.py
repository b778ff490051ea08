"""Taking back what people have signed and an older database does not know (`outside`): vehicles do."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.db import transaction

from firmware_store.models import OnlineKey
from firmware_store.states import Repository
from firmware_store.trust import outside, profiles, publication, queries, signing
from firmware_store.trust.contents import RoleKeys, RootContent
from firmware_store.trust.errors import OnlineKeyMissingError
from firmware_store.trust.operations import roots
from otaserver.tenants.models import Tenant


@transaction.atomic
def adopt_published(tenant: Tenant, *, at: datetime) -> list[str]:
    """Store the roots and targets that are kept outside the database and newer than it; sign online metadata anew.

    Every root in turn, with the online keys that it names, and of the targets the newest. All is verified as when it
    was published. Return what was adopted, as `image supplier 7`; repeating adopts nothing.

    Raises:
        OnlineKeyMissingError: a root names an online key of which no file is here.
        RefusedError: what is kept is not signed by whom it should be.
    """
    publication.lock(tenant)
    _find_moved_keys(tenant)
    adopted = [name for repository in Repository for name in _adopt_roots(tenant, repository, at=at)]
    adopted += _adopt_all_targets(tenant, at=at)
    if queries.latest_version(tenant, Repository.IMAGE, "targets"):
        publication.make_snapshot(tenant, at=at)
    return adopted


def _find_moved_keys(tenant: Tenant) -> None:
    """Name online keys by where their files are now: the server may have been restored to another folder."""
    for key in OnlineKey.objects.filter(tenant=tenant, uri__startswith="file2:"):
        before = Path(key.uri.removeprefix("file2:"))
        now = outside.folder(tenant.name) / before.name
        if not before.exists() and now.exists():
            OnlineKey.objects.filter(pk=key.pk).update(uri=f"file2:{now}")


def _adopt_roots(tenant: Tenant, repository: str, *, at: datetime) -> Iterator[str]:
    latest = queries.latest_version(tenant, repository, "root")
    for version, bodies in outside.published(tenant, repository, "root", after=latest).items():
        envelopes = publication.read_root(tenant, repository, bodies)
        root = profiles.agreed_content(envelopes)
        publication.require_next_version(root.version, latest=latest, expected=version - 1)
        roots.require_both_signed(tenant, repository, envelopes, root, is_first=latest == 0)
        _know_online_keys(tenant, repository, root, at=at)
        publication.store(tenant, repository, "root", bodies, version=version, expires_at=root.expires_at, at=at)
        roots.activate_online_keys(tenant, repository, root, at=at)
        latest = version
        yield f"{repository} root {version}"


def _know_online_keys(tenant: Tenant, repository: str, root: RootContent, *, at: datetime) -> None:
    """Write down the online keys that the root names and that were made after this database."""
    for role in queries.ONLINE_ROLES[repository]:
        keys = OnlineKey.objects.filter(tenant=tenant, repository=repository, role=role)
        for keyid, public in root.roles[role].keys.items():
            if keys.filter(keyid=keyid).exists():
                continue
            uri = f"file2:{outside.folder(tenant.name) / f'{repository}-{role}-{keyid[:16]}.pem'}"
            if not signing.is_key_at(uri, public):
                raise OnlineKeyMissingError(
                    f"The {repository} root {root.version} of {tenant} names the {role} key {keyid[:16]}, which is not "
                    f"at {uri}: bring it back from where the online keys are kept.",
                    roles=[role],
                )
            # One that waited for another root waits in vain: this one came in its place.
            keys.filter(activated_at=None).update(activated_at=at, retired_at=at)
            OnlineKey.objects.create(
                tenant=tenant,
                repository=repository,
                role=role,
                keyid=keyid,
                public_key=dict(public),
                uri=uri,
                created_at=at,
            )


def _adopt_all_targets(tenant: Tenant, *, at: datetime) -> Iterator[str]:
    if not queries.latest_version(tenant, Repository.IMAGE, "root"):
        return
    yield from _adopt_targets(tenant, "targets", queries.current_root(tenant, Repository.IMAGE).roles["targets"], at=at)
    top = queries.current_targets(tenant, "targets")
    for role, keys in ((top.delegations or {}) if top else {}).items():
        yield from _adopt_targets(tenant, role, keys, at=at)


def _adopt_targets(tenant: Tenant, role: str, keys: RoleKeys, *, at: datetime) -> Iterator[str]:
    latest = queries.latest_version(tenant, Repository.IMAGE, role)
    newer = outside.published(tenant, Repository.IMAGE, role, after=latest)
    if not newer:
        return
    # Versions between are of no use: who has seen the last one takes nothing older, and nobody needs each.
    version, bodies = max(newer.items())
    envelopes = publication.read_targets(tenant, bodies)
    content = profiles.agreed_content(envelopes)
    publication.require_signatures(envelopes, keys)
    publication.store(tenant, Repository.IMAGE, role, bodies, version=version, expires_at=content.expires_at, at=at)
    yield f"image {role} {version}"
