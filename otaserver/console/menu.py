"""The console's menu, in the order of a day's work."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from otaserver.console.access import may_somewhere
from otaserver.tenants.states import Permission


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the menu as Unfold takes it: what the person may open, in their language."""
    watch = [
        _entry(_("Overview"), "dashboard", "index"),
        _entry(_("Campaigns"), "stairs", "campaigns_campaign_changelist"),
        _entry(_("New campaign"), "add_circle", "new_campaign", "what", needs=Permission.MANAGE_CAMPAIGNS),
        _entry(_("Assignments"), "checklist", "campaigns_assignment_changelist"),
        _entry(_("Blackouts"), "ac_unit", "campaigns_blackout_changelist"),
    ]
    fleet = [
        _entry(_("Vehicles"), "directions_car", "fleet_vehicle_changelist"),
        _entry(_("Groups"), "group_work", "groups"),
        _entry(_("Workshop"), "build", "campaigns_workshopcase_changelist"),
        _entry(_("Devices"), "perm_device_information", "fleet_authenticationset_changelist"),
        _entry(_("Imports"), "upload_file", "fleet_fleetimport_changelist"),
        _entry(_("Requests"), "troubleshoot", "fleet_seenrequest_changelist"),
    ]
    software = [
        _entry(_("Releases"), "inventory", "firmware_store_release_changelist"),
        _entry(_("Packages"), "package_2", "firmware_store_package_changelist"),
    ]
    trust = [
        _entry(_("Keys"), "key", "keys"),
        _entry(_("Verification keys"), "verified", "firmware_store_verificationkey_changelist"),
        _entry(_("Provisioning credentials"), "badge", "fleet_provisioningcredential_changelist"),
        _entry(_("Gateway tokens"), "router", "fleet_gatewaytoken_changelist"),
        _entry(_("DDI settings"), "tune", "fleet_ddisettings_changelist"),
        _entry(_("Records"), "history_edu", "audit_entry_changelist", needs=Permission.AUDIT),
    ]
    people = [
        _entry(_("Members"), "group", "people:members", needs=Permission.ADMINISTER),
        _entry(_("Service tokens"), "vpn_key", "people:tokens", needs=Permission.ADMINISTER),
        _entry(_("Settings"), "settings", "tenant_settings", needs=Permission.ADMINISTER),
        _entry(_("Webhooks"), "webhook", "events_endpoint_changelist", needs=Permission.AUDIT),
        _entry(_("Events"), "notifications", "events_event_changelist", needs=Permission.AUDIT),
        _entry(_("Letters"), "mail", "events_mail_changelist", needs=Permission.AUDIT),
    ]
    return [
        {"items": watch},
        {"title": _("Fleet"), "separator": True, "items": fleet},
        {"title": _("Software"), "separator": True, "items": software},
        {"title": _("Trust"), "separator": True, "items": trust},
        {"title": _("People and programs"), "separator": True, "items": people},
    ]


def _entry(title: str, icon: str, page: str, *parts: str, needs: Permission = Permission.VIEW) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse(page if ":" in page else f"console:{page}", args=parts),
        "permission": _whether(needs),
    }


def _whether(needed: Permission) -> Callable[[HttpRequest], bool]:
    def is_shown(request: HttpRequest) -> bool:
        return may_somewhere(request, needed)

    return is_shown
