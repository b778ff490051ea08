from firmware_store.errors import PackageNotFoundError
from firmware_store.formats.facts import Contents
from firmware_store.models import Package, RoleMetadata
from firmware_store.states import PackageState
from otaserver.tenants.models import Tenant


def published_package(tenant: Tenant, target_name: str) -> Package:
    """Return the published package with this target name.

    Raises:
        PackageNotFoundError: the tenant has none, or it is withdrawn.
    """
    found = Package.objects.filter(tenant=tenant, target_name=target_name, state=PackageState.PUBLISHED).first()
    if found is None:
        raise PackageNotFoundError(f"No published package {target_name!a:.200}.", target=target_name[:200])
    return found


def package_contents(package: Package) -> Contents:
    """Return what was read in a package's file when it was published; plain before that."""
    return Contents.loaded(package.contents)


def current_metadata(tenant: Tenant) -> list[RoleMetadata]:
    """Return the newest version of each role's signed metadata, without its bytes, the one that ends first before."""
    newest: dict[tuple[str, str, str], RoleMetadata] = {}
    for row in RoleMetadata.objects.filter(tenant=tenant).defer("body").order_by("version"):
        newest[row.repository, row.role, row.profile] = row
    return sorted(newest.values(), key=lambda row: (row.expires_at, row.pk))
