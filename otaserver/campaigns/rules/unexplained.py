"""What a failure means of which a client says only that it is one: where it stood tells."""

from otaserver.campaigns.rules.failures import DOWNLOAD_FAILED, WITHDRAWN
from otaserver.campaigns.states import AssignmentState

INSTALL_FAILED = "install_failed"
# It was told to stop at the wrong moment: the server's doing, and no attempt of the vehicle's.
TOLD_TO_STOP = "resource.conflict"


def failure_code(state: AssignmentState, *, is_withdrawn: bool) -> str:
    """Return the code of the failure catalogue for a bare failure of a vehicle whose assignment is in this state.

    `is_withdrawn`: its order stands no more. Before it installed nothing is broken, and it is tried again.
    """
    if state == AssignmentState.INSTALLING:
        return INSTALL_FAILED
    if state == AssignmentState.WITHDRAWING:
        return WITHDRAWN
    if is_withdrawn or state == AssignmentState.HELD:
        return TOLD_TO_STOP
    return DOWNLOAD_FAILED
