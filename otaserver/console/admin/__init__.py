from otaserver.console.admin.blackouts import BlackoutAdmin
from otaserver.console.admin.campaigns import AssignmentAdmin, CampaignAdmin
from otaserver.console.admin.devices import AuthenticationSetAdmin
from otaserver.console.admin.events import DeliveryAdmin, EndpointAdmin, EventAdmin, MailAdmin
from otaserver.console.admin.incidents import SoftwareChangeAdmin, WorkshopCaseAdmin
from otaserver.console.admin.protocols import (
    DdiSettingsAdmin,
    FleetImportAdmin,
    GatewayTokenAdmin,
    ProvisioningCredentialAdmin,
    VerificationKeyAdmin,
)
from otaserver.console.admin.records import EntryAdmin
from otaserver.console.admin.requests import SeenRequestAdmin
from otaserver.console.admin.software import PackageAdmin, ReleaseAdmin
from otaserver.console.admin.vehicles import VehicleAdmin
from otaserver.console.names import translate_names
from otaserver.console.pages import urls  # noqa: F401 - its pages belong to the same site
from otaserver.console.site import site
from otaserver.fleet.models import Group
from otaserver.people.models import Invitation
from otaserver.tenants.models import Member, ServiceToken

translate_names([*site._registry, Group, Member, ServiceToken, Invitation])

__all__ = [
    "AssignmentAdmin",
    "AuthenticationSetAdmin",
    "BlackoutAdmin",
    "CampaignAdmin",
    "DdiSettingsAdmin",
    "DeliveryAdmin",
    "EndpointAdmin",
    "EntryAdmin",
    "EventAdmin",
    "FleetImportAdmin",
    "GatewayTokenAdmin",
    "MailAdmin",
    "PackageAdmin",
    "ProvisioningCredentialAdmin",
    "ReleaseAdmin",
    "SeenRequestAdmin",
    "SoftwareChangeAdmin",
    "VehicleAdmin",
    "VerificationKeyAdmin",
    "WorkshopCaseAdmin",
]
