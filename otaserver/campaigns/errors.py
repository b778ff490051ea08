from otaserver.errors import ConflictError, NotFoundError, RefusedError


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


class ReasonMissingError(RefusedError):
    code = "campaign.reason_missing"


class RollbackUnfinishedError(ConflictError):
    code = "campaign.rollback_unfinished"


class FirstCampaignRunsError(ConflictError):
    code = "campaign.first_runs"


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


class WorkshopCaseClosedError(ConflictError):
    code = "workshop_case.closed"
