"""A package's bytes straight into the bucket, past this server: in parts, then read again, and only then stored.

The sender is given addresses for parts and nothing else. That the parts are one object is decided here, and after that
nobody can write to it; it waits in a folder of its own, from which nothing is served, until its bytes have proved to be
the declared ones. Everything here can be repeated, and a crash at any point is mended by repeating.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q

from firmware_store import blobs, buckets, parts
from firmware_store.direct_models import DirectUpload
from firmware_store.errors import (
    BlobNotFoundError,
    DirectUploadGoneError,
    DirectUploadNotFoundError,
    DirectUploadRefusedError,
    PackageContentDiffersError,
    PartRefusedError,
    PartsMissingError,
    UploadClosedError,
)
from firmware_store.models import Package
from firmware_store.operations import uploads
from firmware_store.parts import Part
from firmware_store.states import DirectUploadStanding, DirectUploadState, PackageState
from otaserver.errors import RefusedError

FOLDER = "uploads"
# As many addresses are given out at a time; more are to be asked for when these are used.
MAX_ADDRESSES = 100
ADDRESS_SECONDS = 3600
# How many are verified at a time: the rest of the workers is for campaigns.
AT_A_TIME = 2
# Whoever verifies one says so again and again; who does not for so long has died.
LEASE = timedelta(minutes=2)
# Nothing is heard of a copy until it is there.
COPY_LEASE = timedelta(minutes=30)


@dataclass(frozen=True)
class PartAddress:
    """Where to PUT one part: exactly `length` bytes."""

    number: int
    length: int
    url: str


def begin_direct_upload(package: Package, *, at: datetime) -> DirectUpload:
    """Open the bucket for a package's bytes; repeated, it returns the upload that is there.

    Raises:
        DirectUploadRefusedError: the storage is no bucket, or not open.
        UploadClosedError: the package takes no bytes any more, or has them all.
    """
    if not buckets.takes_direct_uploads():
        raise DirectUploadRefusedError("Packages go through this server: send them to its own address.")
    uploads.require_open(package, at=at)
    if uploads.received_bytes(package) == package.length:
        raise UploadClosedError(f"All {package.length} bytes of {package} are here.", state=str(package.state))
    present = DirectUpload.objects.filter(package=package).first()
    return present or _open(package, at=at)


def direct_upload_of(package: Package) -> DirectUpload:
    """Return the upload of a package that is under way.

    Raises:
        DirectUploadNotFoundError: none is.
    """
    found = DirectUpload.objects.select_related("package").filter(package=package).first()
    if found is None:
        raise DirectUploadNotFoundError(f"No upload of {package} straight to the bucket is under way.")
    return found


def standing_of(package: Package, *, received: int) -> DirectUploadStanding:
    """Return whether a package, of whose bytes so many are here, may have them sent straight to the bucket."""
    upload = DirectUpload.objects.filter(package=package).first()
    if upload is not None:
        return DirectUploadStanding(upload.state)
    is_wanting = package.state == PackageState.UPLOADING and received < package.length
    is_offered = is_wanting and buckets.takes_direct_uploads()
    return DirectUploadStanding.OFFERED if is_offered else DirectUploadStanding.NOT_OFFERED


def received_parts(upload: DirectUpload) -> list[Part]:
    """Return the parts that the bucket has, by number; none where they are one object already."""
    if upload.state != DirectUploadState.OPEN:
        return []
    try:
        return buckets.received_parts(upload.name, upload.upload_id)
    except DirectUploadGoneError:
        return []


def part_addresses(upload: DirectUpload, numbers: Sequence[int], *, at: datetime) -> list[PartAddress]:
    """Return addresses for some parts, good for ADDRESS_SECONDS; a part that is sent again replaces the first.

    Raises:
        UploadClosedError: its parts are one object already, or the package takes no bytes any more.
        PartRefusedError: the file has no such part, or more than MAX_ADDRESSES are asked for.
    """
    uploads.require_open(upload.package, at=at)
    _require_parts_may_come(upload)
    lengths = parts.part_lengths(upload.package.length, upload.part_bytes)
    unknown = [number for number in numbers if number not in lengths]
    if unknown or not 1 <= len(numbers) <= MAX_ADDRESSES:
        raise PartRefusedError(
            f"Ask for 1 to {MAX_ADDRESSES} parts, of those from 1 to {len(lengths)}.", parts=unknown[:MAX_ADDRESSES]
        )
    return [
        PartAddress(
            number,
            lengths[number],
            buckets.address(upload.name, upload.upload_id, number, length=lengths[number], seconds=ADDRESS_SECONDS),
        )
        for number in dict.fromkeys(numbers)
    ]


def complete_direct_upload(upload: DirectUpload, *, at: datetime) -> None:
    """Make the parts one object, which is then read again before it counts as the package's. Repeatable.

    Raises:
        PartsMissingError: not all are here, or not with their lengths; the details say which.
        DirectUploadGoneError: the bucket has given it up; the row is gone too, and another can be begun.
        UploadClosedError: the package takes no bytes any more.
    """
    if upload.state == DirectUploadState.VERIFYING:
        return
    uploads.require_open(upload.package, at=at)
    whole = buckets.stored(upload.name) or _joined(upload)
    upload.move_to(DirectUploadState.VERIFYING, etag=whole.etag)


def abort_direct_upload(upload: DirectUpload) -> None:
    """Give an upload to the bucket up; the package waits for its bytes as before, by whatever way."""
    _end(upload)


def due_direct_uploads(*, at: datetime) -> list[int]:
    """Return the ids of those to verify now: oldest first, not more at a time than leave workers for the rest."""
    leased = DirectUpload.objects.filter(leased_until__gt=at).count()
    due = DirectUpload.objects.filter(_due(at)).order_by("pk").values_list("pk", flat=True)
    return list(due[: max(0, AT_A_TIME - leased)])


def verify_direct_upload(upload_id: int, *, now: Callable[[], datetime]) -> bool:
    """Read an object again, and store it as its package's content, or refuse the package; return whether it was due.

    Of several at once one does it. `now` is asked again and again: reading gigabytes takes minutes.
    """
    at = now()
    if not DirectUpload.objects.filter(_due(at), pk=upload_id).update(leased_until=at + LEASE):
        return False
    upload = DirectUpload.objects.select_related("package__tenant").get(pk=upload_id)
    try:
        _settle(upload, now)
    except BlobNotFoundError:
        # Gone from the bucket: nothing is left that could be verified, and it can be sent again.
        _end(upload)
    except RefusedError as refusal:
        if upload.package.state == PackageState.UPLOADING:
            uploads.refuse_package(upload.package, refusal, by="server", at=now())
    return True


def _open(package: Package, *, at: datetime) -> DirectUpload:
    name = f"{FOLDER}/{package.pk}-{secrets.token_hex(16)}"
    upload_id = buckets.begin(name)
    try:
        with transaction.atomic():
            return DirectUpload.objects.create(
                package=package,
                name=name,
                upload_id=upload_id,
                part_bytes=parts.part_bytes_for(package.length),
                created_at=at,
            )
    except IntegrityError:
        # Begun twice at once: the other was first.
        buckets.discard(name, upload_id)
        return direct_upload_of(package)


def _require_parts_may_come(upload: DirectUpload) -> None:
    if upload.state != DirectUploadState.OPEN:
        raise UploadClosedError(f"All parts of {upload.package} are here, and are read again.", state=upload.state)


def _joined(upload: DirectUpload) -> buckets.Stored:
    lengths = parts.part_lengths(upload.package.length, upload.part_bytes)
    try:
        here = buckets.received_parts(upload.name, upload.upload_id)
        missing = parts.missing_parts(lengths, {one.number: one.length for one in here})
        if missing:
            raise PartsMissingError(
                f"{len(missing)} of {len(lengths)} parts are missing, or have another length.",
                parts=missing[:MAX_ADDRESSES],
            )
        buckets.complete(upload.name, upload.upload_id, [one for one in here if one.number in lengths])
        whole = buckets.stored(upload.name)
    except DirectUploadGoneError:
        # Two complete it at once, and the other was first; or the bucket has thrown it away.
        whole = buckets.stored(upload.name)
    if whole is None:
        _end(upload)
        raise DirectUploadGoneError(f"The bucket has given up the upload of {upload.package}; begin it again.")
    return whole


def _settle(upload: DirectUpload, now: Callable[[], datetime]) -> None:
    package = upload.package
    if package.state != PackageState.UPLOADING or uploads.received_bytes(package) == package.length:
        _end(upload)
        return
    pulse = _Pulse(upload, now)
    with buckets.open_object(upload.name, etag=upload.etag) as file:
        digests = blobs.digest_of(file, each_block=pulse)
    if digests.sha256 != package.sha256 or digests.length != package.length:
        raise PackageContentDiffersError(
            f"The bytes have the SHA-256 {digests.sha256}; declared was {package.sha256}.", sha256=digests.sha256
        )
    pulse.extend(COPY_LEASE)
    uploads.note_digests(package, digests)
    blobs.store_object(upload.name, etag=upload.etag, sha256=package.sha256, length=package.length)
    _end(upload)


class _Pulse:
    """Says now and then that whoever verifies is still at it."""

    def __init__(self, upload: DirectUpload, now: Callable[[], datetime]) -> None:
        self._upload = upload
        self._now = now
        self._said_at = now()

    def __call__(self) -> None:
        if self._now() - self._said_at >= LEASE / 4:
            self.extend(LEASE)

    def extend(self, duration: timedelta) -> None:
        self._said_at = self._now()
        DirectUpload.objects.filter(pk=self._upload.pk).update(leased_until=self._said_at + duration)


def _end(upload: DirectUpload) -> None:
    buckets.discard(upload.name, upload.upload_id)
    DirectUpload.objects.filter(pk=upload.pk).delete()


def _due(at: datetime) -> Q:
    return Q(state=DirectUploadState.VERIFYING) & (Q(leased_until=None) | Q(leased_until__lte=at))
