from otaserver.errors import ConflictError, ForbiddenError, NotFoundError, OtaError, RateLimitedError, RefusedError


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


class AnswerForAnotherError(SignInRefusedError):
    """What came back from the issuer does not belong to what this browser began."""

    code = "sign_on.not_begun_here"


class IssuerRefusedError(SignInRefusedError):
    code = "sign_on.refused_by_issuer"


class StatementInvalidError(SignInRefusedError):
    """What the issuer states about a person is not signed by it, not for us, not for now, or incomplete."""

    code = "sign_on.statement_invalid"


class EmailUnverifiedError(SignInRefusedError):
    code = "sign_on.email_unverified"


class NoGroupError(SignInRefusedError):
    code = "sign_on.no_group"


class AccountInactiveError(SignInRefusedError):
    code = "sign_on.account_inactive"


class AccountTakenError(SignInRefusedError):
    """The account that it would be belongs, or may belong, to somebody else."""

    code = "sign_on.account_taken"


class AccountElsewhereError(SignInRefusedError):
    """An issuer speaks for the people of its own tenants, and for nobody who has a role in another."""

    code = "sign_on.account_elsewhere"


class IssuerUnavailableError(OtaError):
    """The issuer does not answer, or answers what no issuer does."""

    status = 502
    code = "sign_on.issuer_unavailable"


class LogoutRefusedError(RefusedError):
    """What says that somebody has signed out at the issuer is not signed by it, not for us, not for now, or unsound."""

    status = 400
    code = "sign_on.logout_refused"


class LogoutRepeatedError(LogoutRefusedError):
    code = "sign_on.logout_repeated"
