import os
import tempfile
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction

from otaserver.fleet.credentials import certificates
from otaserver.fleet.models import FleetAuthority
from otaserver.tenants.models import Tenant


def create_fleet_authority(tenant: Tenant, *, at: datetime) -> FleetAuthority:
    """Create the certificate authority of a tenant's vehicles, or return the one there is.

    Its private key is a new file in settings.ONLINE_KEYS, which only the server's user can read.
    """
    existing = FleetAuthority.objects.filter(tenant=tenant).first()
    if existing is not None:
        return existing
    made = certificates.make_authority(tenant.name, at=at)
    key = write_authority_key(tenant, made.key_pem)
    try:
        with transaction.atomic():
            return FleetAuthority.objects.create(
                tenant=tenant, certificate_pem=made.certificate_pem, key_name=key.name, created_at=at
            )
    except IntegrityError:
        key.unlink()
        return FleetAuthority.objects.get(tenant=tenant)


def load_authority(tenant: Tenant) -> certificates.Authority | None:
    """Return the tenant's certificate authority with its private key, or None if it has none."""
    row = FleetAuthority.objects.filter(tenant=tenant).first()
    if row is None:
        return None
    return certificates.Authority(row.certificate_pem, (_folder() / row.key_name).read_bytes())


def _folder() -> Path:
    if "://" in settings.ONLINE_KEYS:
        raise ImproperlyConfigured(
            f"The key of a fleet CA is a file: OTA_ONLINE_KEYS must be a folder, not {settings.ONLINE_KEYS!r}."
        )
    return Path(settings.ONLINE_KEYS)


def write_authority_key(tenant: Tenant, pem: bytes) -> Path:
    """Write the private key of a tenant's fleet CA to a new file, which only the server's user can read."""
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp: a name of its own, mode 0600 from the start.
    handle, name = tempfile.mkstemp(prefix=f"fleet-ca-{tenant.name}-", suffix=".pem", dir=folder)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)
