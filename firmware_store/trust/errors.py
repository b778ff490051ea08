from otaserver.errors import ConflictError, NotFoundError, OtaError, RefusedError


class NotStrictJsonError(ValueError):
    """Bytes that two JSON readers could read differently, or an object that has no canonical form here."""


class MetadataMalformedError(RefusedError):
    code = "metadata.malformed"


class MetadataSignatureError(RefusedError):
    """Too few keys of the role signed it, or one that did signed something else."""

    code = "metadata.signature"


class MetadataLifetimeError(RefusedError):
    code = "metadata.lifetime"


class MetadataVersionError(RefusedError):
    code = "metadata.version"


class MetadataProfilesError(RefusedError):
    """The bodies for the two profiles are not both there, or state different things."""

    code = "metadata.profiles"


class MetadataStaleError(ConflictError):
    """Somebody else published a newer version first."""

    code = "metadata.stale"


class MetadataNotFoundError(NotFoundError):
    code = "metadata.not_found"


class KeyRefusedError(RefusedError):
    code = "key.refused"


class KeySharedError(RefusedError):
    """One key stands in two roles."""

    code = "key.shared"


class OnlineKeysError(RefusedError):
    """A root whose online roles do not hold exactly the server's own keys."""

    code = "root.online_keys"


class OnlineKeyMissingError(ConflictError):
    code = "online_key.missing"


class OnlineKeyStoreError(RefusedError):
    code = "online_key.store"


class RestoreUnfinishedError(ConflictError):
    """The database is an old one, and versions were not raised above what vehicles have seen."""

    code = "restore.unfinished"


class OutsideUnwritableError(OtaError):
    """What must be noted beside the online keys before anything is signed cannot be: the server's own trouble."""

    status = 503
    code = "online_key.record_unwritable"


class RootMissingError(ConflictError):
    code = "root.missing"


class ResignedRoleMissingError(RefusedError):
    """New keys for a role whose current metadata those keys have not signed: vehicles could not verify it any more."""

    code = "metadata.role_unsigned"


class RoleNotDelegatedError(ConflictError):
    code = "role.not_delegated"


class DelegationRefusedError(RefusedError):
    code = "delegation.refused"


class DelegationInUseError(ConflictError):
    code = "delegation.in_use"


class TargetsChangedError(RefusedError):
    """A refresh that changes what may be installed; packages enter and leave by publication and withdrawal only."""

    code = "metadata.targets_changed"


class PayloadSignatureError(RefusedError):
    """The signature inside a package file is none, or does not hold against what its clients trust."""

    code = "package.signature_invalid"


class PayloadKeyRefusedError(RefusedError):
    code = "verification_key.refused"
