from otaserver.people.operations.invitations import (
    Newcomer,
    accept_invitation,
    find_invitation,
    invite,
    join_by_invitation,
    revoke_invitation,
)
from otaserver.people.operations.members import change_role, end_sessions, remove_member
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
    "change_role",
    "end_sessions",
    "find_invitation",
    "invite",
    "issue_personal_token",
    "issue_service_token",
    "join_by_invitation",
    "remove_member",
    "revoke_all_tokens",
    "revoke_invitation",
    "revoke_personal_token",
    "revoke_service_token",
]
