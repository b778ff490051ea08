from otaserver.errors import ConflictError, NotFoundError, RefusedError, TooLargeError


class PackageDeclarationRefusedError(RefusedError):
    code = "package.declaration_refused"


class PackageTooLargeError(TooLargeError):
    code = "package.too_large"


class StorageQuotaError(ConflictError):
    """The tenant has no room left; giving up uploads makes some, or a larger quota."""

    code = "storage.quota_exceeded"


class PackageNameTakenError(ConflictError):
    code = "package.name_taken"


class PackageNotFoundError(NotFoundError):
    code = "package.not_found"


class PackageContentDiffersError(RefusedError):
    """The bytes that came are not the ones that were declared."""

    code = "package.content_differs"


class PackagePathError(RefusedError):
    """The signed entry stands under another name, or outside the role's own path."""

    code = "package.path_mismatch"


class PackageLengthError(RefusedError):
    code = "package.length_mismatch"


class PackageHashError(RefusedError):
    code = "package.hash_mismatch"


class PackageNameError(RefusedError):
    code = "package.name_mismatch"


class PackageVersionError(RefusedError):
    code = "package.version_mismatch"


class PackageHardwareError(RefusedError):
    code = "package.hardware_mismatch"


class PackageCounterError(RefusedError):
    code = "package.counter_mismatch"


class OtherTargetsChangedError(RefusedError):
    """The signed metadata changes more than the one package that it was sent for."""

    code = "package.other_targets_changed"


class UploadOffsetError(ConflictError):
    """The bytes do not continue what is here; `offset` says where to go on."""

    code = "upload.offset"


class UploadBusyError(ConflictError):
    code = "upload.busy"


class UploadTooLongError(TooLargeError):
    code = "upload.too_long"


class UploadIncompleteError(ConflictError):
    code = "upload.incomplete"


class UploadClosedError(ConflictError):
    code = "upload.closed"


class DirectUploadRefusedError(ConflictError):
    """Packages go through this server: its storage is no bucket, or is not open to others."""

    code = "upload.not_direct"


class DirectUploadNotFoundError(NotFoundError):
    code = "upload.not_found"


class DirectUploadGoneError(ConflictError):
    """The bucket has given the upload up; it has to be begun again."""

    code = "upload.gone"


class PartRefusedError(RefusedError):
    """The file has no such part."""

    code = "upload.part_refused"


class PartsMissingError(ConflictError):
    """Parts are missing, or have another length than they should; `parts` says which."""

    code = "upload.parts_missing"


class UploadLapsedError(RefusedError):
    code = "upload.lapsed"


class PackageAbandonedError(RefusedError):
    code = "package.abandoned"


class BlobNotFoundError(NotFoundError):
    code = "blob.not_found"


class ReleaseRefusedError(RefusedError):
    code = "release.refused"


class ReleaseExistsError(ConflictError):
    code = "release.exists"


class ReleasePackageUnpublishedError(RefusedError):
    code = "release.package_unpublished"


class ReleaseHardwareTwiceError(RefusedError):
    code = "release.hardware_twice"


class ReleaseConditionsError(RefusedError):
    code = "release.conditions"


class ReleaseSignalsError(RefusedError):
    code = "release.signals"


class ContentsVersionError(RefusedError):
    """The file inside states another version than the one that was declared."""

    code = "package.contents_version"


class ContentsHardwareError(RefusedError):
    """A client of the declared hardware would not take the file."""

    code = "package.contents_hardware"


class ContentsUnsignedError(RefusedError):
    """The tenant has keys for this format, and the file carries no signature to hold against them."""

    code = "package.signature_missing"


class VerificationKeyRefusedError(RefusedError):
    code = "verification_key.refused"


class VerificationKeyExistsError(ConflictError):
    code = "verification_key.exists"


class VerificationKeyRetiredError(ConflictError):
    code = "verification_key.retired"
