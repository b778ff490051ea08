"""How much of the storage one tenant's packages and uploads may take."""

from django.db.models import Max, QuerySet, Sum

from firmware_store.errors import StorageQuotaError
from firmware_store.models import Package
from firmware_store.states import PackageState
from otaserver.tenants.models import Tenant


def used_bytes(tenant: Tenant) -> int:
    """Return what the tenant's packages take: equal content counts once, and every open upload its declared length.

    Each open upload has a file of its own, whatever it says that will be in it.
    """
    content = _with_content(tenant).values("sha256").annotate(bytes=Max("length"))
    uploads = Package.objects.filter(tenant=tenant, state=PackageState.UPLOADING, sha512="")
    return sum(
        rows.aggregate(total=Sum(name))["total"] or 0 for rows, name in ((content, "bytes"), (uploads, "length"))
    )


def refuse_beyond_quota(tenant: Tenant, *, sha256: str, length: int) -> None:
    """Refuse another package for which the tenant has no room left; call it in the transaction that declares it.

    Of two at once the second waits, and then counts the first.

    Raises:
        StorageQuotaError: it would not fit.
    """
    quota = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk).storage_quota_bytes
    if quota is None:
        return
    used = used_bytes(tenant)
    if not _with_content(tenant).filter(sha256=sha256).exists() and used + length > quota:
        raise StorageQuotaError(
            f"Of {quota} bytes {used} are taken; {length} more do not fit.", quota=quota, used=used, length=length
        )


def _with_content(tenant: Tenant) -> QuerySet[Package]:
    """Return the packages whose bytes are proved: of open uploads those of content that is here already."""
    rows = Package.objects.filter(tenant=tenant).exclude(state=PackageState.REFUSED)
    return rows.exclude(state=PackageState.UPLOADING, sha512="")
