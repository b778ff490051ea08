from otaserver.campaigns.operations.asserted_versions import record_version
from otaserver.campaigns.operations.assertions import record_assertion, record_installed_release
from otaserver.campaigns.operations.assignments import lapse_due
from otaserver.campaigns.operations.blackouts import declare_blackout, lift_blackout
from otaserver.campaigns.operations.campaigns import (
    CampaignPlan,
    WavePlan,
    approve_campaign,
    create_campaign,
    reject_campaign,
    schedule_campaign,
    submit_campaign,
)
from otaserver.campaigns.operations.changes import change_campaign, plan_of
from otaserver.campaigns.operations.claimed_software import record_claim, unheard_until
from otaserver.campaigns.operations.confirmations import (
    confirm_order,
    give_standing_consent,
    note_question,
    order_to_carry_out,
    take_back_standing_consent,
)
from otaserver.campaigns.operations.consents import ConsentAnswer, record_consent, record_consent_on_behalf
from otaserver.campaigns.operations.deliveries import record_delivered
from otaserver.campaigns.operations.direct import order_now
from otaserver.campaigns.operations.early_consents import record_early_consent
from otaserver.campaigns.operations.engine import advance_campaign
from otaserver.campaigns.operations.evidence import EvidenceReport, record_evidence
from otaserver.campaigns.operations.fits import (
    CountedFit,
    Fit,
    ask_fit,
    count_fit,
    count_fitting,
    fits_due,
    forget_fits,
    judge_group,
)
from otaserver.campaigns.operations.forecasts import Forecast, forecast_campaign
from otaserver.campaigns.operations.gated_reports import report_failure, report_progress
from otaserver.campaigns.operations.groups import change_group
from otaserver.campaigns.operations.health import record_health, wanted_of
from otaserver.campaigns.operations.joining import close_campaign
from otaserver.campaigns.operations.kept_forecasts import forecasts_due, is_fresh, keep_forecast
from otaserver.campaigns.operations.lifecycle import Decommission, Sale, decommission_vehicle, record_sale
from otaserver.campaigns.operations.plan_drafts import drop_plan, keep_step, link_campaign, note_review
from otaserver.campaigns.operations.reconciliation import sweep
from otaserver.campaigns.operations.report_batches import record_together
from otaserver.campaigns.operations.reports import confirm_withdrawal, record_log, record_report, record_reports
from otaserver.campaigns.operations.retrying import retry_waiting
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
from otaserver.campaigns.operations.suggestions import SuggestedPlan, suggest_waves
from otaserver.campaigns.operations.told import Told, VehicleReport
from otaserver.campaigns.operations.waves import decide_wave
from otaserver.campaigns.operations.words import record_word
from otaserver.campaigns.operations.workshop import close_case, open_exhausted_cases, open_failed_cases
from otaserver.campaigns.operations.zones import set_time_zone

__all__ = [
    "CampaignPlan",
    "ConsentAnswer",
    "CountedFit",
    "Decommission",
    "EvidenceReport",
    "Fit",
    "Forecast",
    "Sale",
    "SuggestedPlan",
    "Told",
    "VehicleReport",
    "WavePlan",
    "advance_campaign",
    "approve_campaign",
    "ask_fit",
    "cancel_campaign",
    "change_campaign",
    "change_group",
    "close_campaign",
    "close_case",
    "confirm_order",
    "confirm_withdrawal",
    "count_fit",
    "count_fitting",
    "create_campaign",
    "create_rollback",
    "decide_wave",
    "declare_blackout",
    "decommission_vehicle",
    "drop_plan",
    "fits_due",
    "forecast_campaign",
    "forecasts_due",
    "forget_fits",
    "give_standing_consent",
    "is_fresh",
    "judge_group",
    "keep_forecast",
    "keep_step",
    "lapse_due",
    "lift_blackout",
    "link_campaign",
    "note_question",
    "note_review",
    "open_exhausted_cases",
    "open_failed_cases",
    "order_now",
    "order_to_carry_out",
    "pause_campaign",
    "plan_of",
    "record_assertion",
    "record_claim",
    "record_consent",
    "record_consent_on_behalf",
    "record_delivered",
    "record_early_consent",
    "record_evidence",
    "record_health",
    "record_installed_release",
    "record_log",
    "record_report",
    "record_reports",
    "record_sale",
    "record_together",
    "record_version",
    "record_word",
    "reject_campaign",
    "report_failure",
    "report_progress",
    "resume_campaign",
    "resume_tenant",
    "retry_waiting",
    "schedule_campaign",
    "set_time_zone",
    "start_campaign",
    "stop_campaign",
    "stop_tenant",
    "submit_campaign",
    "suggest_waves",
    "sweep",
    "take_back_standing_consent",
    "unheard_until",
    "wanted_of",
]
