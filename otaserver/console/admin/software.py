from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse_lazy
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from firmware_store import queries
from firmware_store.formats.facts import Contents, Format
from firmware_store.models import Package, Release
from otaserver.console.admin.base import ReadOnlyAdmin
from otaserver.console.site import site
from otaserver.console.tables import NOTHING, Table, badge, lines, link_to
from otaserver.fleet import queries as fleet
from otaserver.tenants.states import Permission


@admin.register(Package, site=site)
class PackageAdmin(ReadOnlyAdmin):
    empty_note = _("No package is here yet. Upload one here, or sign and send it by the command: ota publish")
    list_links = [(_("New package"), reverse_lazy("console:new_package"), Permission.PUBLISH)]
    list_display = ["target_name", "tenant", "shown_state", "fits", "size", "release_counter", "published_at"]
    list_select_related = ["tenant"]
    list_filter = ["state"]
    search_fields = ["target_name", "sha256"]
    ordering = ["-created_at"]
    fields = [
        ("target_name", "shown_state"),
        ("name", "version"),
        ("role", "release_counter"),
        ("filename", "size"),
        "fits",
        "sha256",
        "sha512",
        ("created_at", "published_at"),
        "created_by",
        ("refused_code", "refused_reason"),
    ]

    def get_fields(self, request: HttpRequest, obj: Package | None = None) -> Any:
        # Two dashes would ask why a package that was taken was refused.
        found = super().get_fields(request, obj)
        return found if obj is None or obj.refused_code else found[:-1]

    @admin.display(description=_("state"), ordering="state")
    def shown_state(self, package: Package) -> SafeString:
        return badge(package.state)

    @admin.display(description=_("hardware"))
    def fits(self, package: Package) -> str:
        return ", ".join(package.hardware_ids)

    @admin.display(description=_("size"), ordering="length")
    def size(self, package: Package) -> str:
        return filesizeformat(package.length)

    def tables(self, row: Package) -> Sequence[Table]:
        releases = Release.objects.filter(items__package=row).order_by("-created_at")
        return [
            _running(row),
            *_inside(queries.package_contents(row), row.contents.get("verified_by", [])),
            Table(_("Releases that hold it"), [_("release")], [[link_to(release)] for release in releases]),
        ]


def _running(package: Package) -> Table:
    """On how many ECUs it is proved, or asserted, to run now, by hardware."""
    rows = fleet.installed_by_hardware(package.tenant, package.sha256)
    note = "" if rows else str(_("No ECU has proved to run it."))
    return Table(_("Where it runs"), [_("hardware"), _("ECUs"), _("asserted")], [list(row) for row in rows], note=note)


def _inside(contents: Contents, verified_by: Sequence[str]) -> list[Table]:
    """Return what was read in a file that is no plain one."""
    if contents.format == Format.PLAIN:
        return []
    checked = ", ".join(verified_by) or str(_("not checked: no key is configured"))
    facts: list[list[object]] = [
        [_("format"), str(contents.format)],
        [_("name"), contents.name],
        [_("version"), contents.version],
        [_("compatible hardware"), lines(contents.hardware)],
        [_("signature"), contents.signature or _("none")],
        [_("holds against"), checked if contents.signature else ""],
    ]
    return [
        Table(_("Inside the file"), [_("fact"), _("value")], facts),
        Table(
            _("Payloads"),
            [_("file"), _("kind"), _("bytes"), _("SHA-256")],
            [[one.name, one.kind, one.length, one.sha256] for one in contents.payloads],
        ),
        Table(
            _("Signed by"),
            [_("subject"), _("issuer"), _("until"), _("fingerprint")],
            [[one.subject, one.issuer, one.not_after, one.fingerprint] for one in contents.signers],
        ),
    ]


@admin.register(Release, site=site)
class ReleaseAdmin(ReadOnlyAdmin):
    empty_note = _("No release is here yet. Make one from published packages.")
    list_links = [
        (_("Compare two releases"), reverse_lazy("console:compare_releases"), Permission.VIEW),
        (_("New release"), reverse_lazy("console:new_release"), Permission.PUBLISH),
    ]
    list_display = ["__str__", "tenant", "created_by", "published_at"]
    list_select_related = ["tenant"]
    search_fields = ["name", "version"]
    ordering = ["-created_at"]
    fields = [("name", "version"), ("created_by", "created_at", "published_at"), "shown_halt_codes"]

    @admin.display(description=_("halt codes"))
    def shown_halt_codes(self, release: Release) -> str:
        return ", ".join(release.halt_codes) or NOTHING

    def tables(self, row: Release) -> Sequence[Table]:
        items = row.items.select_related("package").order_by("position", "package__target_name")
        conditions = row.conditions.order_by("kind", "package_name")
        campaigns = row.campaigns.order_by("-created_at")
        return [
            Table(
                _("Packages"),
                [_("order"), _("package"), _("hardware"), _("state")],
                [
                    [i.position, link_to(i.package), lines(i.package.hardware_ids), badge(i.package.state)]
                    for i in items
                ],
            ),
            Table(
                _("Conditions"),
                [_("kind"), _("package"), _("versions")],
                [[c.kind, c.package_name, ", ".join(c.versions) or _("any")] for c in conditions],
            ),
            Table(
                _("Health signals"),
                [_("signal"), _("bad above"), _("acceptable"), _("unacceptable")],
                [
                    [s.name, f"{s.limit:g}", f"{s.acceptable_rate:.2%}", f"{s.unacceptable_rate:.2%}"]
                    for s in row.signals.all()
                ],
            ),
            Table(_("Release notes"), [_("language"), _("text")], sorted(row.notes.items())),
            Table(_("Campaigns"), [_("campaign"), _("state")], [[link_to(c), badge(c.state)] for c in campaigns]),
        ]
