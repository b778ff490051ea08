from otaserver.campaigns.queries.approvals import ApprovalView, approval_view, required_approvals
from otaserver.campaigns.queries.awaited_consents import AwaitedConsent, awaited_consents
from otaserver.campaigns.queries.backoffs import waiting_for_next_attempt
from otaserver.campaigns.queries.breakdowns import Breakdown, breakdown
from otaserver.campaigns.queries.bundles import ReleaseView, VehicleView, release_view, vehicle_views
from otaserver.campaigns.queries.counts import Progress, decisions, failures_by_code, progress, progress_of, wave_counts
from otaserver.campaigns.queries.courses import Course, course
from otaserver.campaigns.queries.evidence import EvidencePath, evidence_paths
from otaserver.campaigns.queries.explanations import explain, explain_all
from otaserver.campaigns.queries.fleet_releases import FleetReleases, fleet_releases
from otaserver.campaigns.queries.gates import GateView, StratumView, gate_tests, gate_view
from otaserver.campaigns.queries.idle import idle_until
from otaserver.campaigns.queries.install_gates import InstallGate, gate_of_attempt, install_gate
from otaserver.campaigns.queries.kept_forecasts import KeptForecast, forecast_row, kept_forecast
from otaserver.campaigns.queries.ordered_packages import PackageForEcus
from otaserver.campaigns.queries.orders import build_order, order_for
from otaserver.campaigns.queries.reasons import measurements
from otaserver.campaigns.queries.replayed import Replayed
from otaserver.campaigns.queries.replays import Replay, replay
from otaserver.campaigns.queries.rollbacks import carriers
from otaserver.campaigns.queries.signals import ComparisonView, SignalView, signal_views, wanted_of
from otaserver.campaigns.queries.vehicle_explanations import Answer, VehicleExplanation, explain_vehicle
from otaserver.campaigns.queries.vehicle_orders import (
    VehicleOrder,
    current_order,
    last_success,
    messages_of,
    order_numbered,
    order_with_id,
    standing_consent,
)
from otaserver.campaigns.rules.delivery import Delivery

__all__ = [
    "Answer",
    "ApprovalView",
    "AwaitedConsent",
    "Breakdown",
    "ComparisonView",
    "Course",
    "Delivery",
    "EvidencePath",
    "FleetReleases",
    "GateView",
    "InstallGate",
    "KeptForecast",
    "PackageForEcus",
    "Progress",
    "ReleaseView",
    "Replay",
    "Replayed",
    "SignalView",
    "StratumView",
    "VehicleExplanation",
    "VehicleOrder",
    "VehicleView",
    "approval_view",
    "awaited_consents",
    "breakdown",
    "build_order",
    "carriers",
    "course",
    "current_order",
    "decisions",
    "evidence_paths",
    "explain",
    "explain_all",
    "explain_vehicle",
    "failures_by_code",
    "fleet_releases",
    "forecast_row",
    "gate_of_attempt",
    "gate_tests",
    "gate_view",
    "idle_until",
    "install_gate",
    "kept_forecast",
    "last_success",
    "measurements",
    "messages_of",
    "order_for",
    "order_numbered",
    "order_with_id",
    "progress",
    "progress_of",
    "release_view",
    "replay",
    "required_approvals",
    "signal_views",
    "standing_consent",
    "vehicle_views",
    "waiting_for_next_attempt",
    "wanted_of",
    "wave_counts",
]
