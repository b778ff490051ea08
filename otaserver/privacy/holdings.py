"""Where something of one vehicle is held: models that lead to one, with the path to it; models that may name one."""

from collections.abc import Mapping

from django.db.models import Model

from otaserver.campaigns.draft_models import PlanDraft
from otaserver.campaigns.fit_models import GroupFit
from otaserver.campaigns.models import (
    Assignment,
    Attempt,
    Blackout,
    Campaign,
    ConsentRecord,
    ControlBlock,
    Decision,
    HealthReading,
    LogTail,
    Report,
    SoftwareChange,
    WorkshopCase,
)
from otaserver.campaigns.records import StandingConsent
from otaserver.director.models import Direction, InstalledImage, Manifest, VehicleMetadata
from otaserver.events.models import Endpoint, Event, ToldOutcome
from otaserver.fleet.arrival_models import FleetImport, FleetImportProblem
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.counting_models import GroupSize
from otaserver.fleet.lifecycle_models import EcuSwap
from otaserver.fleet.models import AttributeValue, Credential, Ecu, Group, Membership, Vehicle
from otaserver.fleet.naming_models import Spelling
from otaserver.fleet.protocol_models import ReportedAttribute
from otaserver.fleet.provisioning_models import ProvisioningPermit
from otaserver.fleet.watch_models import SeenRequest
from otaserver.tenants.models import Tenant

Named = Mapping[type[Model], tuple[str, tuple[str, ...]]]
HOLDINGS: Mapping[type[Model], str] = {
    Ecu: "vehicle",
    Spelling: "vehicle",
    Credential: "vehicle",
    AuthenticationSet: "vehicle",
    ProvisioningPermit: "vehicle",
    EcuSwap: "vehicle",
    AttributeValue: "vehicle",
    ReportedAttribute: "vehicle",
    Membership: "vehicle",
    SeenRequest: "vehicle",
    Direction: "vehicle",
    VehicleMetadata: "vehicle",
    Manifest: "vehicle",
    InstalledImage: "vehicle",
    SoftwareChange: "vehicle",
    WorkshopCase: "vehicle",
    StandingConsent: "vehicle",
    Assignment: "vehicle",
    Attempt: "vehicle",
    Report: "attempt__vehicle",
    LogTail: "attempt__vehicle",
    ConsentRecord: "assignment__vehicle",
    HealthReading: "assignment__vehicle",
    ControlBlock: "control__vehicle",
    ToldOutcome: "assignment__vehicle",
}
# What people of the tenant wrote, and the path to it; texts of other vehicles may name this one.
TEXTS: Named = {
    Tenant: ("pk", ("stopped_reason",)),
    Group: ("tenant", ("name", "filter", "blocks_updates_reason")),
    GroupSize: ("group__tenant", ("filter",)),
    GroupFit: ("group__tenant", ("filter",)),
    Campaign: ("tenant", ("name", "reason", "no_way_back_reason")),
    Blackout: ("tenant", ("name", "reason", "lifted_reason")),
    Endpoint: ("tenant", ("description", "reason")),
    PlanDraft: ("tenant", ("steps",)),
    FleetImport: ("tenant", ("filename", "failed_reason")),
    Vehicle: ("tenant", ("blocked_reason",)),
    AttributeValue: ("vehicle__tenant", ("text",)),
    WorkshopCase: ("vehicle__tenant", ("reason", "note")),
}
# What the server noted of several vehicles, or before it knew which one it was.
NOTES: Named = {
    Decision: ("campaign__tenant", ("sentence", "inputs")),
    Event: ("tenant", ("subject", "data")),
    FleetImportProblem: ("fleet_import__tenant", ("value",)),
    SeenRequest: ("tenant", ("path", "identity", "reason")),
}
