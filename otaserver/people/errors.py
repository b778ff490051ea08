from otaserver.errors import ConflictError, ForbiddenError, NotFoundError, RateLimitedError, RefusedError


class LastAdministratorError(ConflictError):
    code = "member.last_administrator"


class BeyondOwnPermissionsError(ForbiddenError):
    """Nobody gives more than they have: a token with few permissions could make one with all."""

    code = "permission.beyond_own"


class OutlivesCallerError(ForbiddenError):
    """A token that ends could prolong itself."""

    code = "token.outlives_caller"


class NotAPersonError(RefusedError):
    code = "token.not_a_person"


class ScopesRefusedError(RefusedError):
    code = "token.permissions_refused"


class ExpiryRefusedError(RefusedError):
    code = "token.expiry_refused"


class InvitationInvalidError(NotFoundError):
    code = "invitation.invalid"


class AlreadyMemberError(ConflictError):
    code = "member.exists"


class UsernameRefusedError(RefusedError):
    code = "user.name_refused"


class UsernameTakenError(ConflictError):
    code = "user.name_taken"


class CodeWrongError(RefusedError):
    code = "second_factor.wrong_code"


class SignInThrottledError(RateLimitedError):
    code = "sign_in.throttled"


class SignInRefusedError(ForbiddenError):
    """Single sign-on says who somebody is, and that is nobody who may come in; the sentence says why."""

    code = "sign_on.refused"
