"""How much of the storage one tenant's packages and uploads may take."""

from django.db.models import Max, Sum

from firmware_store.errors import StorageQuotaError
from firmware_store.models import Package
from firmware_store.states import PackageState
from otaserver.tenants.models import Tenant


def used_bytes(tenant: Tenant) -> int:
    """Return what the tenant's packages take, uploads with their whole declared length; equal content counts once."""
    rows = Package.objects.filter(tenant=tenant).exclude(state=PackageState.REFUSED)
    by_content = rows.values("sha256").annotate(bytes=Max("length"))
    return by_content.aggregate(total=Sum("bytes"))["total"] or 0


def refuse_beyond_quota(tenant: Tenant, *, sha256: str, length: int) -> None:
    """Refuse another package for which the tenant has no room left; call it in the transaction that declares it.

    Of two at once the second waits, and then counts the first.

    Raises:
        StorageQuotaError: it would not fit.
    """
    quota = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk).storage_quota_bytes
    if quota is None:
        return
    rows = Package.objects.filter(tenant=tenant, sha256=sha256).exclude(state=PackageState.REFUSED)
    used = used_bytes(tenant)
    if not rows.exists() and used + length > quota:
        raise StorageQuotaError(
            f"Of {quota} bytes {used} are taken; {length} more do not fit.", quota=quota, used=used, length=length
        )
