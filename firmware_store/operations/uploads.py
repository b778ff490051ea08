"""A package on its way in: declared, its bytes appended, its content proven. Everything here can be repeated."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from firmware_store import blobs, buckets, quotas, rules
from firmware_store.direct_models import DirectUpload
from firmware_store.errors import (
    PackageAbandonedError,
    PackageContentDiffersError,
    PackageDeclarationRefusedError,
    PackageNameTakenError,
    PackageTooLargeError,
    UploadClosedError,
    UploadIncompleteError,
    UploadLapsedError,
    UploadOffsetError,
    UploadTooLongError,
)
from firmware_store.models import Package
from firmware_store.states import PackageState
from otaserver.audit import operations as audit
from otaserver.errors import RefusedError
from otaserver.tenants.models import Tenant

# An upload that nobody finished for so long holds its name, and disk space, no longer.
UPLOAD_LIFE = timedelta(days=7)


def begin_package(
    tenant: Tenant,
    *,
    role: str,
    name: str,
    version: str,
    hardware_ids: Sequence[str],
    release_counter: int,
    filename: str,
    length: int,
    sha256: str,
    by: str,
    at: datetime,
) -> Package:
    """Declare a package, and return it ready for its bytes; the same declaration again returns the same upload.

    Content that the tenant has published before, under whatever name, need not be sent again.

    Raises:
        PackageDeclarationRefusedError: a value is out of its form, or the tenant has this SHA-256 with another length.
        PackageTooLargeError: more than `settings.MAX_PACKAGE_BYTES`.
        PackageNameTakenError: name and version stand for something else already.
        StorageQuotaError: the tenant has no room for it.
    """
    declared = rules.Declaration(
        role, name, version, tuple(sorted(hardware_ids)), release_counter, filename, length, sha256
    )
    problem = rules.declaration_problem(declared)
    if problem:
        raise PackageDeclarationRefusedError(problem)
    if length > settings.MAX_PACKAGE_BYTES:
        raise PackageTooLargeError(
            f"{length} bytes are more than the {settings.MAX_PACKAGE_BYTES} allowed.", limit=settings.MAX_PACKAGE_BYTES
        )
    return _resumable(tenant, declared) or _declare(tenant, declared, by=by, at=at)


def append_bytes(package: Package, stream: blobs.Readable, *, offset: int, at: datetime) -> int:
    """Append the stream to a package's upload and return the new offset.

    Raises:
        UploadClosedError: the package is no longer uploading, or its upload has lapsed.
        UploadOffsetError: the upload is elsewhere; the details hold the right `offset`.
        UploadTooLongError: more bytes than declared; nothing was added.
        StorageFullError: what arrived is kept.
    """
    require_open(package, at=at)
    if received_bytes(package) != package.length:
        return blobs.append(_upload(package), stream, offset=offset, length=package.length)
    if offset != package.length:
        raise UploadOffsetError(f"All {package.length} bytes are here.", offset=package.length)
    if stream.read(1):
        raise UploadTooLongError(f"More than the {package.length} bytes that were declared.", length=package.length)
    return package.length


def received_bytes(package: Package) -> int:
    """Return how many of the package's bytes are here; all of them, once its content is stored."""
    if package.sha512 and blobs.has_blob(package.sha256, length=package.length):
        return package.length
    return blobs.received_bytes(_upload(package))


def settle_content(package: Package) -> None:
    """Prove that the bytes are the declared ones, note their digests, and move them into the storage.

    A crash at any point is mended by repeating.

    Raises:
        UploadIncompleteError: bytes are missing; the details hold the `offset` to go on from.
        UploadBusyError: another request is still sending bytes of it, or publishes it.
        PackageContentDiffersError: the bytes are others; the caller refuses the package.
        StorageFullError: the storage takes no more; the upload is kept.
    """
    if package.sha512 and blobs.has_blob(package.sha256, length=package.length):
        return
    upload = _upload(package)
    with blobs.held(upload):
        received = blobs.received_bytes(upload)
        if received != package.length:
            raise UploadIncompleteError(f"{received} of {package.length} bytes are here.", offset=received)
        digests = blobs.digest_upload(upload)
        if digests.sha256 != package.sha256:
            raise PackageContentDiffersError(
                f"The bytes have the SHA-256 {digests.sha256}; declared was {package.sha256}.", sha256=digests.sha256
            )
        note_digests(package, digests)
        blobs.store(upload, sha256=package.sha256, length=package.length)


def note_digests(package: Package, digests: blobs.Digests) -> None:
    """Write down what a package's bytes have proved to be; they count as here once they are stored too."""
    changes = {"sha512": digests.sha512, "sha1": digests.sha1, "md5": digests.md5}
    Package.objects.filter(pk=package.pk, state=PackageState.UPLOADING).update(**changes)
    for name, value in changes.items():
        setattr(package, name, value)


@transaction.atomic
def refuse_package(package: Package, refusal: RefusedError, *, by: str, at: datetime) -> None:
    """Move a package that was uploading to `refused`, with the reason, and drop its content unless another needs it.

    Raises:
        InvalidTransitionError, StaleStateError: it is no longer uploading.
    """
    package.move_to(PackageState.REFUSED, refused_code=refusal.code, refused_reason=refusal.message)
    audit.record("package.refused", package, tenant=package.tenant, by=by, at=at, code=refusal.code)
    _drop_direct_upload(package)
    transaction.on_commit(lambda: _drop_content(package))


def abandon_package(package: Package, *, by: str, at: datetime) -> None:
    """Give up an upload, so that its name and version are free again.

    Raises:
        InvalidTransitionError, StaleStateError: it is not uploading.
    """
    refuse_package(package, PackageAbandonedError("Its publisher gave it up."), by=by, at=at)


def lapse_uploads(*, at: datetime) -> int:
    """Refuse the uploads that are not finished in UPLOAD_LIFE, and return how many those were."""
    due = Package.objects.filter(state=PackageState.UPLOADING, created_at__lte=at - UPLOAD_LIFE)
    lapsed = list(due.select_related("tenant"))
    for package in lapsed:
        refuse_package(package, UploadLapsedError(f"Not published in {UPLOAD_LIFE.days} days."), by="server", at=at)
    return len(lapsed)


def _upload(package: Package) -> str:
    # The digest besides the number: a folder that outlived its database must not pass for this upload.
    return f"{package.pk}-{package.sha256}"


def require_open(package: Package, *, at: datetime) -> None:
    """Refuse bytes for a package that takes none any more.

    Raises:
        UploadClosedError: it is not uploading, or its upload has lapsed.
    """
    if package.state != PackageState.UPLOADING or at - package.created_at >= UPLOAD_LIFE:
        raise UploadClosedError(f"{package} takes no bytes any more; it is {package.state}.", state=str(package.state))


def declaration_of(package: Package) -> rules.Declaration:
    return rules.Declaration(
        package.role,
        package.name,
        package.version,
        tuple(package.hardware_ids),
        package.release_counter,
        package.filename,
        package.length,
        package.sha256,
    )


def _resumable(tenant: Tenant, declared: rules.Declaration) -> Package | None:
    """Return the upload that this declaration goes on with, None if there is none, or refuse."""
    rows = Package.objects.filter(tenant=tenant, target_name=declared.target_name)
    found = rows.exclude(state=PackageState.REFUSED).first()
    if found is None:
        return None
    if found.state == PackageState.UPLOADING and declaration_of(found) == declared:
        return found
    raise PackageNameTakenError(
        f"{declared.target_name} is {found.state} already; name and version stand for one content for ever.",
        package=found.pk,
        state=str(found.state),
    )


def _declare(tenant: Tenant, declared: rules.Declaration, *, by: str, at: datetime) -> Package:
    digests = {}
    same = Package.objects.filter(
        tenant=tenant, sha256=declared.sha256, length=declared.length, published_at__isnull=False
    ).first()
    if same is not None:
        digests = {"sha512": same.sha512, "sha1": same.sha1, "md5": same.md5}
    try:
        with transaction.atomic():
            quotas.refuse_beyond_quota(tenant, sha256=declared.sha256, length=declared.length)
            _refuse_other_length(tenant, declared)
            return Package.objects.create(
                tenant=tenant,
                role=declared.role,
                name=declared.name,
                version=declared.version,
                target_name=declared.target_name,
                hardware_ids=list(declared.hardware_ids),
                release_counter=declared.release_counter,
                filename=declared.filename,
                length=declared.length,
                sha256=declared.sha256,
                created_by=by,
                created_at=at,
                **digests,
            )
    except IntegrityError:
        # Declared twice at once: the other was first, and this one goes on with it or is refused.
        found = _resumable(tenant, declared)
        if found is None:
            raise
        return found


def _refuse_other_length(tenant: Tenant, declared: rules.Declaration) -> None:
    rows = Package.objects.filter(tenant=tenant, sha256=declared.sha256).exclude(state=PackageState.REFUSED)
    other = rows.exclude(length=declared.length).first()
    if other is not None:
        raise PackageDeclarationRefusedError(
            f"One SHA-256 has one length: {other.target_name} has this one with {other.length} bytes, "
            f"not {declared.length}."
        )


def _drop_direct_upload(package: Package) -> None:
    """End what is on its way straight into the bucket, which may not answer: then its leftovers are orphans."""
    upload = DirectUpload.objects.filter(package=package).first()
    if upload is not None:
        upload.delete()
        transaction.on_commit(partial(buckets.discard, upload.name, upload.upload_id), robust=True)


def _drop_content(package: Package) -> None:
    blobs.discard(_upload(package))
    others = Package.objects.filter(~Q(state=PackageState.REFUSED), sha256=package.sha256)
    blobs.delete_unless(package.sha256, others.exists)
