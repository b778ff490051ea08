from datetime import datetime

from django.db import transaction

from firmware_store import rules
from firmware_store.models import Package
from firmware_store.operations import contents, uploads
from firmware_store.states import PackageState
from firmware_store.trust import operations as trust
from firmware_store.trust import publication
from firmware_store.trust.operations.targets import Targets
from firmware_store.trust.publication import Bodies
from otaserver.audit import operations as audit
from otaserver.errors import OtaError, RefusedError


def publish_package(package: Package, *, metadata: Bodies, expected_version: int, by: str, at: datetime) -> None:
    """Publish a package whose bytes are all here, with its role's next metadata: the current one plus this entry.

    A rule that does not hold leaves the package `refused`, with the reason. What only came at the wrong moment (bytes
    missing, another publisher first, role not delegated yet, storage full) leaves it uploading, to be tried again.

    Raises:
        UploadIncompleteError, UploadBusyError, MetadataStaleError, RoleNotDelegatedError, StorageFullError: not now.
        RefusedError: never; see the concrete error's code.
        InvalidTransitionError, StaleStateError: the package is not uploading.
    """
    try:
        if package.state == PackageState.UPLOADING:
            uploads.settle_content(package)
            contents.settle_contents(package, at=at)
        _publish(package, metadata, expected_version=expected_version, by=by, at=at)
    except OtaError as refusal:
        # What was rolled back is still in memory.
        package.refresh_from_db()
        if isinstance(refusal, RefusedError):
            uploads.refuse_package(package, refusal, by=by, at=at)
        raise


@transaction.atomic
def withdraw_package(package: Package, *, metadata: Bodies, expected_version: int, by: str, at: datetime) -> None:
    """Withdraw a published package with its role's next metadata: the current one without this entry.

    Vehicles that verify afterwards cannot install it. Its name stays taken, its file stays stored.

    Raises:
        MetadataStaleError: somebody else published first.
        RefusedError: the metadata breaks a rule.
        InvalidTransitionError, StaleStateError: the package is not published.
    """

    def check(before: Targets, after: Targets) -> None:
        refusal = rules.removal_refusal(before, after, package.target_name)
        if refusal:
            raise refusal

    trust.publish_delegated(
        package.tenant, package.role, metadata, expected_version=expected_version, check=check, at=at
    )
    package.move_to(PackageState.WITHDRAWN)
    audit.record("package.withdrawn", package, tenant=package.tenant, by=by, at=at, sha256=package.sha256)


@transaction.atomic
def _publish(package: Package, metadata: Bodies, *, expected_version: int, by: str, at: datetime) -> None:
    def check(before: Targets, after: Targets) -> None:
        refusal = rules.addition_refusal(before, after, uploads.declaration_of(package), sha512=package.sha512)
        if refusal:
            raise refusal

    publication.lock(package.tenant)
    package.move_to(PackageState.VERIFYING)
    trust.publish_delegated(
        package.tenant, package.role, metadata, expected_version=expected_version, check=check, at=at
    )
    package.move_to(PackageState.PUBLISHED, published_at=at)
    audit.record(
        "package.published",
        package,
        tenant=package.tenant,
        by=by,
        at=at,
        sha256=package.sha256,
        role_version=expected_version + 1,
    )
