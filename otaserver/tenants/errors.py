from otaserver.errors import ConflictError, ForbiddenError, RefusedError, UnauthenticatedError


class TokenInvalidError(UnauthenticatedError):
    code = "token.invalid"


class PermissionMissingError(ForbiddenError):
    code = "permission.missing"


class TenantNameRefusedError(RefusedError):
    code = "tenant.name_refused"


class TenantExistsError(ConflictError):
    code = "tenant.exists"


class ApprovalsRefusedError(RefusedError):
    code = "tenant.approvals_refused"


class ReasonMissingError(RefusedError):
    code = "tenant.reason_missing"


class TokenNameTakenError(ConflictError):
    code = "token.name_taken"
