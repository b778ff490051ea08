from otaserver.campaigns.operations.assignments import lapse_due
from otaserver.campaigns.operations.campaigns import (
    CampaignPlan,
    WavePlan,
    approve_campaign,
    create_campaign,
    reject_campaign,
    schedule_campaign,
    submit_campaign,
)
from otaserver.campaigns.operations.engine import advance_campaign
from otaserver.campaigns.operations.evidence import EvidenceReport, record_evidence
from otaserver.campaigns.operations.reconciliation import sweep
from otaserver.campaigns.operations.reports import VehicleReport, confirm_withdrawal, record_log, record_report
from otaserver.campaigns.operations.rollbacks import create_rollback
from otaserver.campaigns.operations.starts import start_campaign
from otaserver.campaigns.operations.stops import (
    cancel_campaign,
    pause_campaign,
    resume_campaign,
    resume_tenant,
    stop_campaign,
    stop_tenant,
)
from otaserver.campaigns.operations.waves import decide_wave
from otaserver.campaigns.operations.workshop import close_case, open_exhausted_cases, open_failed_cases

__all__ = [
    "CampaignPlan",
    "EvidenceReport",
    "VehicleReport",
    "WavePlan",
    "advance_campaign",
    "approve_campaign",
    "cancel_campaign",
    "close_case",
    "confirm_withdrawal",
    "create_campaign",
    "create_rollback",
    "decide_wave",
    "lapse_due",
    "open_exhausted_cases",
    "open_failed_cases",
    "pause_campaign",
    "record_evidence",
    "record_log",
    "record_report",
    "reject_campaign",
    "resume_campaign",
    "resume_tenant",
    "schedule_campaign",
    "start_campaign",
    "stop_campaign",
    "stop_tenant",
    "submit_campaign",
    "sweep",
]
