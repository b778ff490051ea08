from collections.abc import Sequence

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from otaserver.console.admin.base import ReadOnlyAdmin
from otaserver.console.site import site
from otaserver.console.tables import Table, badge, lines
from otaserver.fleet.authentication_models import AuthenticationSet


@admin.register(AuthenticationSet, site=site)
class AuthenticationSetAdmin(ReadOnlyAdmin):
    empty_note = _(
        "No device has asked to be let in. Those with Mender do, with the tenant's token: ota device tenant-token"
    )
    list_display = ["__str__", "tenant", "condition", "key_begins", "requested_at", "address", "decided_by"]
    list_select_related = ["tenant"]
    list_filter = ["state"]
    search_fields = ["claimed_vehicle_id"]
    ordering = ["-pk"]
    fields = [
        ("claimed_vehicle_id", "condition", "vehicle"),
        "key_sha256",
        ("created_at", "requested_at", "address"),
        ("decided_by", "decided_at"),
        "reason",
    ]

    @admin.display(description=_("condition"))
    def condition(self, device: AuthenticationSet) -> SafeString:
        return badge(device.state)

    @admin.display(description=_("key begins"))
    def key_begins(self, device: AuthenticationSet) -> str:
        return device.key_sha256[:16]

    def tables(self, row: AuthenticationSet) -> Sequence[Table]:
        said = [
            [name, lines(value if isinstance(value, list) else [value])] for name, value in sorted(row.identity.items())
        ]
        return [Table(_("What it says of itself"), [_("name"), _("value")], said)]
