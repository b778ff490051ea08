from otaserver.people.operations.invitations import (
    Newcomer,
    accept_invitation,
    find_invitation,
    invite,
    join_by_invitation,
)
from otaserver.people.operations.members import change_role, end_sessions, remove_member
from otaserver.people.operations.open_invitations import revoke_invitation
from otaserver.people.operations.second_factors import (
    begin_enrolment,
    confirm_enrolment,
    has_second_factor,
    remove_second_factor,
    renew_recovery_codes,
    seal_again,
    show_second_factor,
)
from otaserver.people.operations.sign_ins import begin_sign_in, forget_sign_ins, note_success
from otaserver.people.operations.sign_on import sign_on
from otaserver.people.operations.sign_outs import forget_sign_outs, sign_out
from otaserver.people.operations.tenant_settings import change_tenant_settings
from otaserver.people.operations.tokens import (
    authenticate_personal_token,
    issue_personal_token,
    issue_service_token,
    revoke_all_tokens,
    revoke_personal_token,
    revoke_service_token,
)

__all__ = [
    "Newcomer",
    "accept_invitation",
    "authenticate_personal_token",
    "begin_enrolment",
    "begin_sign_in",
    "change_role",
    "change_tenant_settings",
    "confirm_enrolment",
    "end_sessions",
    "find_invitation",
    "forget_sign_ins",
    "forget_sign_outs",
    "has_second_factor",
    "invite",
    "issue_personal_token",
    "issue_service_token",
    "join_by_invitation",
    "note_success",
    "remove_member",
    "remove_second_factor",
    "renew_recovery_codes",
    "revoke_all_tokens",
    "revoke_invitation",
    "revoke_personal_token",
    "revoke_service_token",
    "seal_again",
    "show_second_factor",
    "sign_on",
    "sign_out",
]
