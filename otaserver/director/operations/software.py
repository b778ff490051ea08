"""What the images that ECUs report are: the name and version of the tenant's package."""

from collections.abc import Mapping, Sequence

from firmware_store.models import Package
from firmware_store.states import PackageState
from otaserver.director.manifests import EcuReport

NOTHING_KNOWN = ("", "")


def known_software(tenant_id: int, reports: Sequence[EcuReport]) -> Mapping[str, tuple[str, str]]:
    """Return name and version of what each ECU reports, by its serial; an image that is no package of the tenant is
    left out, and so is one that has a package's name and other bytes."""
    rows = Package.objects.filter(
        tenant=tenant_id,
        target_name__in={report.target_name for report in reports},
        state__in=[PackageState.PUBLISHED, PackageState.WITHDRAWN],
    )
    packages = {
        (target, sha256): (name, version)
        for target, sha256, name, version in rows.values_list("target_name", "sha256", "name", "version")
    }
    found = {report.serial: packages.get((report.target_name, report.sha256)) for report in reports}
    return {serial: software for serial, software in found.items() if software is not None}
