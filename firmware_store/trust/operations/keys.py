from datetime import datetime

from django.db import transaction

from firmware_store.models import OnlineKey
from firmware_store.trust import publication, queries, signing
from otaserver.tenants.models import Tenant


@transaction.atomic
def create_online_keys(tenant: Tenant, *, at: datetime, rotate: bool = False) -> list[OnlineKey]:
    """Make the keys that the server signs with itself, one per online role, and return the ones it made.

    Keys that exist stay, so repeating changes nothing. With `rotate` every role gets a next key, which waits until a
    root lists it (`publish_root`); a role whose next key waits already gets no other.

    Raises:
        OnlineKeyStoreError: `settings.ONLINE_KEYS` is no folder that keys can be made in.
    """
    publication.lock(tenant)
    made = []
    for repository, roles in queries.ONLINE_ROLES.items():
        for role in roles:
            live = OnlineKey.objects.filter(tenant=tenant, repository=repository, role=role, retired_at=None)
            has_active = live.filter(activated_at__isnull=False).exists()
            if has_active and (not rotate or live.filter(activated_at=None).exists()):
                continue
            created = signing.create_key(tenant, repository, role)
            made.append(
                OnlineKey.objects.create(
                    tenant=tenant,
                    repository=repository,
                    role=role,
                    keyid=created.keyid,
                    public_key=created.public_key,
                    uri=created.uri,
                    created_at=at,
                    activated_at=None if has_active else at,
                )
            )
    return made
