from collections.abc import Sequence

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from django.urls import reverse_lazy
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from firmware_store import queries
from firmware_store.formats.facts import Contents, Format
from firmware_store.models import Package, Release
from otaserver.console.admin.base import ReadOnlyAdmin
from otaserver.console.site import site
from otaserver.console.tables import Table, badge, lines, link_to
from otaserver.fleet import queries as fleet
from otaserver.tenants.states import Permission


@admin.register(Package, site=site)
class PackageAdmin(ReadOnlyAdmin):
    list_links = [(_("New package"), reverse_lazy("console:new_package"), Permission.PUBLISH)]
    list_display = ["target_name", "tenant", "shown_state", "fits", "size", "release_counter", "published_at"]
    list_select_related = ["tenant"]
    list_filter = ["state"]
    search_fields = ["target_name", "sha256"]
    ordering = ["-created_at"]
    fields = [
        ("name", "version", "shown_state"),
        ("role", "target_name", "release_counter"),
        ("fits", "filename", "size"),
        "sha256",
        "sha512",
        ("created_by", "created_at", "published_at"),
        ("refused_code", "refused_reason"),
    ]

    @admin.display(description="state", ordering="state")
    def shown_state(self, package: Package) -> SafeString:
        return badge(package.state)

    @admin.display(description="hardware")
    def fits(self, package: Package) -> str:
        return ", ".join(package.hardware_ids)

    @admin.display(description="size", ordering="length")
    def size(self, package: Package) -> str:
        return filesizeformat(package.length)

    def tables(self, row: Package) -> Sequence[Table]:
        releases = Release.objects.filter(items__package=row).order_by("-created_at")
        return [
            _running(row),
            *_inside(queries.package_contents(row), row.contents.get("verified_by", [])),
            Table("Releases that hold it", ["release"], [[link_to(release)] for release in releases]),
        ]


def _running(package: Package) -> Table:
    """On how many ECUs it is proved, or asserted, to run now, by hardware."""
    rows = fleet.installed_by_hardware(package.tenant, package.sha256)
    note = "" if rows else str(_("No ECU has proved to run it."))
    return Table(str(_("Where it runs")), ["hardware", "ECUs", "asserted"], [list(row) for row in rows], note=note)


def _inside(contents: Contents, verified_by: Sequence[str]) -> list[Table]:
    """Return what was read in a file that is no plain one."""
    if contents.format == Format.PLAIN:
        return []
    checked = ", ".join(verified_by) or "not checked: no key is configured"
    facts = [
        ["format", str(contents.format)],
        ["name", contents.name],
        ["version", contents.version],
        ["compatible hardware", lines(contents.hardware)],
        ["signature", contents.signature or "none"],
        ["holds against", checked if contents.signature else ""],
    ]
    return [
        Table("Inside the file", ["fact", "value"], facts),
        Table(
            "Payloads",
            ["file", "kind", "bytes", "SHA-256"],
            [[one.name, one.kind, one.length, one.sha256] for one in contents.payloads],
        ),
        Table(
            "Signed by",
            ["subject", "issuer", "until", "fingerprint"],
            [[one.subject, one.issuer, one.not_after, one.fingerprint] for one in contents.signers],
        ),
    ]


@admin.register(Release, site=site)
class ReleaseAdmin(ReadOnlyAdmin):
    list_links = [
        (_("Compare two releases"), reverse_lazy("console:compare_releases"), Permission.VIEW),
        (_("New release"), reverse_lazy("console:new_release"), Permission.PUBLISH),
    ]
    list_display = ["__str__", "tenant", "created_by", "published_at"]
    list_select_related = ["tenant"]
    search_fields = ["name", "version"]
    ordering = ["-created_at"]
    fields = [("name", "version"), ("created_by", "created_at", "published_at"), "halt_codes", "notes"]

    def tables(self, row: Release) -> Sequence[Table]:
        items = row.items.select_related("package").order_by("position", "package__target_name")
        conditions = row.conditions.order_by("kind", "package_name")
        campaigns = row.campaigns.order_by("-created_at")
        return [
            Table(
                "Packages",
                ["order", "package", "hardware", "state"],
                [
                    [i.position, link_to(i.package), lines(i.package.hardware_ids), badge(i.package.state)]
                    for i in items
                ],
            ),
            Table(
                "Conditions",
                ["kind", "package", "versions"],
                [[c.kind, c.package_name, ", ".join(c.versions) or "any"] for c in conditions],
            ),
            Table(
                "Health signals",
                ["signal", "bad above", "acceptable", "unacceptable"],
                [
                    [s.name, f"{s.limit:g}", f"{s.acceptable_rate:.2%}", f"{s.unacceptable_rate:.2%}"]
                    for s in row.signals.all()
                ],
            ),
            Table("Campaigns", ["campaign", "state"], [[link_to(c), badge(c.state)] for c in campaigns]),
        ]
