from collections.abc import Mapping

from django.db.models import TextChoices


class PackageState(TextChoices):
    UPLOADING = "uploading"
    VERIFYING = "verifying"
    PUBLISHED = "published"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


PACKAGE_TRANSITIONS: Mapping[str, frozenset[str]] = {
    PackageState.UPLOADING: frozenset({PackageState.VERIFYING, PackageState.REFUSED}),
    # Back to uploading: of two publishers one lost the race for the role's metadata; its bytes are good.
    PackageState.VERIFYING: frozenset({PackageState.PUBLISHED, PackageState.REFUSED, PackageState.UPLOADING}),
    PackageState.PUBLISHED: frozenset({PackageState.WITHDRAWN}),
    PackageState.REFUSED: frozenset(),
    PackageState.WITHDRAWN: frozenset(),
}


class DirectUploadState(TextChoices):
    OPEN = "open"  # its parts may come
    VERIFYING = "verifying"  # they are one object, which the server reads again


DIRECT_UPLOAD_TRANSITIONS: Mapping[str, frozenset[str]] = {
    # When it is stored, refused or given up the row goes.
    DirectUploadState.OPEN: frozenset({DirectUploadState.VERIFYING}),
    DirectUploadState.VERIFYING: frozenset(),
}


class DirectUploadStanding(TextChoices):
    """What a package's sender is told."""

    NOT_OFFERED = "not_offered"
    OFFERED = "offered"
    OPEN = "open"
    VERIFYING = "verifying"


class Repository(TextChoices):
    IMAGE = "image"
    DIRECTOR = "director"


class Profile(TextChoices):
    TUF = "tuf-1.0"  # python-tuf, the reference client, any TUF client
    AKTUALIZR = "aktualizr"  # the C++ client's own form (wire/uptane.md 2.2)


class ConditionKind(TextChoices):
    REQUIRES = "requires"
    CONFLICTS = "conflicts"


class KeyFormat(TextChoices):
    """The formats whose files carry a signature that their own clients check."""

    SWU = "swu"
    RAUCB = "raucb"
    MENDER = "mender"
