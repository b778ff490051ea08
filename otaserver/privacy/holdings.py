"""Where something of one vehicle is held: every model that leads to a vehicle, and by which path."""

from collections.abc import Mapping

from django.db.models import Model

from otaserver.campaigns.models import (
    Assignment,
    Attempt,
    ConsentRecord,
    ControlBlock,
    HealthReading,
    LogTail,
    Report,
    SoftwareChange,
    WorkshopCase,
)
from otaserver.campaigns.records import StandingConsent
from otaserver.director.models import Direction, InstalledImage, Manifest, VehicleMetadata
from otaserver.events.models import ToldOutcome
from otaserver.fleet.authentication_models import AuthenticationSet
from otaserver.fleet.lifecycle_models import EcuSwap
from otaserver.fleet.models import AttributeValue, Credential, Ecu, Membership
from otaserver.fleet.naming_models import Spelling
from otaserver.fleet.protocol_models import ReportedAttribute
from otaserver.fleet.provisioning_models import ProvisioningPermit
from otaserver.fleet.watch_models import SeenRequest

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
