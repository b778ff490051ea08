from otaserver.errors import ConflictError, NotFoundError, RefusedError


class MarkMissingError(RefusedError):
    """Nothing outside the database says which versions were given out."""

    code = "restore.mark_missing"


class VersionRefusedError(RefusedError):
    code = "restore.version"


class BackupRefusedError(RefusedError):
    """The folder is no place for a backup, or holds none that fits this server."""

    code = "backup.folder"


class ToolFailedError(ConflictError):
    """A program of the database is missing, or has failed."""

    code = "backup.tool"


class ServerRunningError(ConflictError):
    """The database is in use, and what uses it would go on with what it has in memory."""

    code = "restore.server_running"


class StandbyError(ConflictError):
    """The database can only be read: it is still being recovered, or follows another one."""

    code = "restore.standby"


class DrillUnknownError(NotFoundError):
    """What the drill is about is nothing that the tenant has."""

    code = "drill.unknown"
