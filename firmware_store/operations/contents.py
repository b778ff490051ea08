"""What is in a package's file, read and judged when it is published."""

from collections.abc import Sequence
from datetime import datetime

from firmware_store import blobs, fitting
from firmware_store.errors import ContentsUnsignedError
from firmware_store.formats import reading
from firmware_store.formats.facts import Format
from firmware_store.models import Package, VerificationKey
from firmware_store.operations import uploads
from firmware_store.states import PackageState
from firmware_store.trust import payload_signatures
from firmware_store.trust.payload_signatures import Signed


def settle_contents(package: Package, *, at: datetime) -> None:
    """Read a package's file, whose bytes are stored, and write down what is in it.

    Read once; a repeated call reads again only where the tenant's keys have changed meanwhile.

    Raises:
        RefusedError: its own client would refuse it, it is not what was declared, or its signature does not hold.
    """
    keys = list(VerificationKey.objects.filter(tenant=package.tenant_id, retired_at=None).order_by("pk"))
    held_against = [key.pk for key in keys]
    if package.contents and package.contents["keys"] == held_against:
        return
    with blobs.open_blob(package.sha256) as file:
        contents, signed = reading.read(file, length=package.length, filename=package.filename)
        refusal = fitting.contents_refusal(contents, uploads.declaration_of(package), is_known=_is_known(package))
        if refusal:
            raise refusal
        names = {
            _verified(signed, chosen, hardware_id, at=at)
            for hardware_id in package.hardware_ids
            if (chosen := _chosen(keys, contents.format, hardware_id))
        }
    facts = {**contents.stored(), "keys": held_against, "verified_by": sorted(names)}
    Package.objects.filter(pk=package.pk, state=PackageState.UPLOADING).update(contents=facts)
    package.contents = facts


def _is_known(package: Package) -> bool:
    before = Package.objects.filter(
        tenant=package.tenant_id, name=package.name, sha256=package.sha256, published_at__isnull=False
    )
    return before.exclude(pk=package.pk).exists()


def _chosen(keys: Sequence[VerificationKey], format_: Format, hardware_id: str) -> list[VerificationKey]:
    """Return what checks this format on this hardware: its own keys, or else those for all hardware."""
    fitting_keys = [key for key in keys if key.format == format_]
    own = [key for key in fitting_keys if key.hardware_id == hardware_id]
    return own or [key for key in fitting_keys if not key.hardware_id]


def _verified(signed: Signed | None, keys: Sequence[VerificationKey], hardware_id: str, *, at: datetime) -> str:
    """Return the name of the key that the signature holds against."""
    if signed is None:
        raise ContentsUnsignedError(
            f"The file is not signed; for {hardware_id!a} it must be, with {keys[0].name!a}.", hardware_id=hardware_id
        )
    anchors = [payload_signatures.load_anchor(key.pem) for key in keys]
    return keys[payload_signatures.verify(signed, anchors, at=at)].name
