from otaserver.errors import ConflictError, ForbiddenError, NotFoundError, RefusedError


class PlanRefusedError(RefusedError):
    code = "campaign.plan_refused"


class CampaignNameTakenError(ConflictError):
    code = "campaign.name_taken"


class ReleaseNotPublishedError(RefusedError):
    code = "campaign.release_not_published"


class NoVehicleFitsError(RefusedError):
    code = "campaign.no_vehicle_fits"


class NoWayBackError(RefusedError):
    code = "campaign.no_way_back"


class MetadataEndsError(RefusedError):
    code = "campaign.metadata_ends"


class BlackoutRefusedError(RefusedError):
    code = "blackout.refused"


class BlackoutNameTakenError(ConflictError):
    code = "blackout.name_taken"


class BlackoutLiftedError(ConflictError):
    code = "blackout.lifted"


class ConsentRefusedError(RefusedError):
    code = "consent.refused"


class ConsentNotAwaitedError(NotFoundError):
    code = "consent.not_awaited"


class TooManyConsentsError(RefusedError):
    code = "consent.too_many"


class ReasonMissingError(RefusedError):
    code = "campaign.reason_missing"


class OwnApprovalError(ForbiddenError):
    code = "campaign.own_approval"


class AlreadyApprovedError(ConflictError):
    code = "campaign.already_approved"


class CampaignGrownError(ConflictError):
    code = "campaign.grown"


class CampaignMovedError(ConflictError):
    code = "campaign.moved"


class ChangeRefusedError(RefusedError):
    """A change that the campaign's state does not allow; the details say the field, its value and the rule."""

    code = "campaign.change_refused"


class RollbackUnfinishedError(ConflictError):
    code = "campaign.rollback_unfinished"


class FirstCampaignRunsError(ConflictError):
    code = "campaign.first_runs"


class CampaignNotDynamicError(ConflictError):
    code = "campaign.not_dynamic"


class NotTestBenchError(RefusedError):
    code = "vehicle.not_test_bench"


class VehicleBusyError(ConflictError):
    code = "vehicle.busy"


class VehicleHeldUpError(ConflictError):
    """It could be given its order, but not now; the details say what holds it up, and what would change that."""

    code = "vehicle.held_up"


class TenantStoppedError(ConflictError):
    code = "tenant.stopped"


class TenantNotStoppedError(ConflictError):
    code = "tenant.not_stopped"


class AttemptNotFoundError(NotFoundError):
    code = "attempt.not_found"


class TooManyReportsError(RefusedError):
    code = "attempt.too_many_reports"


class TooManyLogsError(RefusedError):
    code = "attempt.too_many_logs"


class SignalRefusedError(RefusedError):
    code = "health.refused"


class WorkshopCaseClosedError(ConflictError):
    code = "workshop_case.closed"


class ReleaseUnknownError(NotFoundError):
    """A vehicle says that it runs a release which its tenant does not have, or which does not fit it."""

    code = "release.unknown"


class StandingConsentGivenError(ConflictError):
    code = "standing_consent.given"


class ForecastNotMadeError(NotFoundError):
    code = "forecast.not_made"
