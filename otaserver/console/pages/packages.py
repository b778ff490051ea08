"""A new package: its bytes, sent in pieces that can be resumed, and the signature made off the server."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from firmware_store import operations
from firmware_store.models import Package
from firmware_store.states import PackageState, Profile, Repository
from firmware_store.trust import queries as trust
from otaserver import clock
from otaserver.console import refusals
from otaserver.console.pages.base import Page
from otaserver.errors import OtaError
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Permission

MAX_METADATA_BYTES = 8 * 1024 * 1024


class PackageForm(forms.Form):
    """What the release engineer says about a file. Its length and digest the browser adds, from the file itself."""

    role = forms.CharField(
        label=gettext_lazy("Release role"),
        max_length=40,
        help_text=gettext_lazy("Whose signature it will have: a supplier or a team."),
    )
    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    version = forms.CharField(label=gettext_lazy("Version"), max_length=60)
    hardware_ids = forms.CharField(
        label=gettext_lazy("Compatible hardware"),
        max_length=4000,
        help_text=gettext_lazy("Hardware ids, separated by commas."),
    )
    release_counter = forms.IntegerField(
        label=gettext_lazy("Release counter"),
        min_value=0,
        max_value=2**31 - 1,
        initial=0,
        help_text=gettext_lazy("Raise it only to bar older software for good."),
    )

    def __init__(self, tenant: Tenant, data: Any = None) -> None:
        super().__init__(data)
        top = trust.current_targets(tenant, "targets")
        self.roles = sorted((top.delegations or {}) if top is not None else ())
        self.fields["role"].widget.attrs["list"] = "release-roles"

    def clean_hardware_ids(self) -> list[str]:
        return [each.strip() for each in self.cleaned_data["hardware_ids"].split(",") if each.strip()]


class SentForm(PackageForm):
    filename = forms.CharField(max_length=255)
    length = forms.IntegerField(min_value=0, max_value=2**62)
    sha256 = forms.RegexField(r"\A[0-9a-f]{64}\Z")


class NewPackage(Page):
    """Declares a package, for the script that sends its bytes."""

    template = "console/new_package.html"
    permission = Permission.PUBLISH

    def get(self, request: HttpRequest) -> HttpResponseBase:
        tenant = self.tenant()
        return self.render(_("New package"), form=PackageForm(tenant), tenant=tenant, tenants=list(self.tenants()))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        tenant = self.tenant()
        form = SentForm(tenant, request.POST)
        if not form.is_valid():
            return JsonResponse({"fields": form.errors}, status=422)
        try:
            package = operations.begin_package(tenant, **form.cleaned_data, by=self.actor, at=clock.now())
        except OtaError as error:
            return JsonResponse({"error": refusals.of(error)}, status=error.status)
        return JsonResponse(
            {
                "received": operations.received_bytes(package),
                "content": reverse("console:package_content", args=[package.pk]),
                "next": reverse("console:sign_package", args=[package.pk]),
            },
            status=201,
        )


class PackagePage(Page):
    permission = Permission.PUBLISH

    def package(self) -> Package:
        package = self.find(Package.objects.select_related("tenant"), self.kwargs["pk"])
        self.require(package.tenant, Permission.PUBLISH)
        return package


class PackageContent(PackagePage):
    """The bytes on their way in, as the operator API takes them: PATCH at an offset, GET tells how many are here."""

    http_method_names = ["get", "patch"]

    def get(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        return JsonResponse({"received": operations.received_bytes(self.package())})

    def patch(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        package, offset = self.package(), request.headers.get("Upload-Offset", "")
        if not (offset.isascii() and offset.isdigit() and len(offset) <= 18):
            return JsonResponse({"error": _("Upload-Offset is not a number of bytes.")}, status=400)
        try:
            received = operations.append_bytes(package, request, offset=int(offset), at=clock.now())
        except OtaError as error:
            return JsonResponse({"error": refusals.of(error), **error.details}, status=error.status)
        return JsonResponse({"received": received})


class SignedForm(forms.Form):
    """The role's next signed metadata: its current packages and this one."""

    expected_version = forms.IntegerField(widget=forms.HiddenInput, min_value=0)
    tuf = forms.FileField(label=gettext_lazy("Signed targets, profile tuf-1.0"))
    aktualizr = forms.FileField(label=gettext_lazy("Signed targets, profile aktualizr"), required=False)

    def bodies(self) -> dict[Profile, bytes]:
        given = {Profile.TUF: self.cleaned_data["tuf"], Profile.AKTUALIZR: self.cleaned_data["aktualizr"]}
        return {profile: file.read() for profile, file in given.items() if file is not None}

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        for name in ("tuf", "aktualizr"):
            if found.get(name) is not None and found[name].size > MAX_METADATA_BYTES:
                self.add_error(name, _("Signed metadata has at most 8 MiB."))
        return found


class SignPackage(PackagePage):
    """What is left once the bytes are here: the signature."""

    template = "console/sign_package.html"

    def get(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        package = self.package()
        if package.state not in (PackageState.UPLOADING, PackageState.VERIFYING):
            return redirect("console:firmware_store_package_change", package.pk)
        return self._ask(package, SignedForm(initial={"expected_version": self._version(package)}))

    def post(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        package = self.package()
        form = SignedForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._ask(package, form, status=422)
        try:
            operations.publish_package(
                package,
                metadata=form.bodies(),
                expected_version=form.cleaned_data["expected_version"],
                by=self.actor,
                at=clock.now(),
            )
        except OtaError as error:
            form.add_error(None, refusals.of(error))
            return self._ask(package, form, status=error.status)
        return redirect("console:firmware_store_package_change", package.pk)

    def _version(self, package: Package) -> int:
        return trust.latest_version(package.tenant, Repository.IMAGE, package.role)

    def _ask(self, package: Package, form: SignedForm, *, status: int = 200) -> HttpResponse:
        received = operations.received_bytes(package)
        context: dict[str, Any] = {
            "package": package,
            "form": form,
            "received": received,
            "is_complete": received == package.length,
            "version": self._version(package),
        }
        return self.render(_("Sign this package"), status=status, subtitle=package.target_name, **context)
