"""A new release from published packages, and two releases side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from firmware_store import operations
from firmware_store.models import Package, Release
from firmware_store.states import PackageState
from otaserver import clock
from otaserver.console import refusals, words
from otaserver.console.pages.base import Page
from otaserver.errors import OtaError
from otaserver.tenants.models import Tenant
from otaserver.tenants.states import Permission

LANGUAGES = (("en", "English"), ("zh-CN", "简体中文"))


class ReleaseForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    version = forms.CharField(label=gettext_lazy("Version"), max_length=60)
    packages = forms.ModelMultipleChoiceField(
        Package.objects.none(),
        label=gettext_lazy("Packages"),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "Installed together. Where one must come first, make the release by the command, which takes positions."
        ),
    )
    stepping_stone = forms.ModelChoiceField(
        Release.objects.none(),
        label=gettext_lazy("What must have run before"),
        required=False,
        help_text=gettext_lazy("A vehicle with older software is taken there first."),
    )
    halt_codes = forms.CharField(
        label=gettext_lazy("Codes that halt at once, by commas"), required=False, max_length=2000
    )

    def __init__(self, tenant: Tenant, data: Any = None) -> None:
        super().__init__(data)
        packages, stones = self.fields["packages"], self.fields["stepping_stone"]
        assert isinstance(packages, forms.ModelMultipleChoiceField)
        assert isinstance(stones, forms.ModelChoiceField)
        packages.queryset = Package.objects.filter(tenant=tenant, state=PackageState.PUBLISHED).order_by("-created_at")
        stones.queryset = Release.objects.filter(tenant=tenant).order_by("-created_at")
        for tag, language in LANGUAGES:
            label = _("Release notes, %(language)s") % {"language": language}
            self.fields[f"notes_{tag}"] = forms.CharField(
                label=label, required=False, max_length=20_000, widget=forms.Textarea(attrs={"rows": 3, "lang": tag})
            )

    def wanted(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            "name": given["name"],
            "version": given["version"],
            "packages": [(package, 0) for package in given["packages"]],
            "stepping_stone": given["stepping_stone"],
            "halt_codes": [code.strip() for code in given["halt_codes"].split(",") if code.strip()],
            "notes": {tag: given[f"notes_{tag}"] for tag, _name in LANGUAGES if given[f"notes_{tag}"]},
        }


class NewRelease(Page):
    template = "console/new_release.html"
    permission = Permission.PUBLISH

    def get(self, request: HttpRequest) -> HttpResponseBase:
        return self._ask(ReleaseForm(self.tenant()))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        tenant = self.tenant()
        form = ReleaseForm(tenant, request.POST)
        if not form.is_valid():
            return self._ask(form, status=422)
        try:
            made = operations.create_release(tenant, **form.wanted(), by=self.actor, at=clock.now())
        except OtaError as error:
            form.add_error(None, refusals.of(error))
            return self._ask(form, status=error.status)
        return redirect("console:firmware_store_release_change", made.pk)

    def _ask(self, form: ReleaseForm, *, status: int = 200) -> HttpResponseBase:
        shown: dict[str, Any] = {"tenant": self.tenant(), "tenants": list(self.tenants())}
        return self.render(_("New release"), status=status, form=form, **shown)


@dataclass(frozen=True)
class Difference:
    """What two releases say of one thing; `is_same` where they agree."""

    what: str
    left: str
    right: str

    @property
    def is_same(self) -> bool:
        return self.left == self.right


class CompareReleases(Page):
    """Two releases of one tenant: which packages differ, and what else they say."""

    template = "console/compare_releases.html"

    def get(self, request: HttpRequest) -> HttpResponseBase:
        tenant = self.tenant()
        releases = Release.objects.filter(tenant=tenant).order_by("-created_at", "-pk")
        known = releases.select_related("stepping_stone").prefetch_related("items__package", "conditions", "signals")
        left, right = (
            known.filter(pk=int(request.GET[side][:18])).first() if request.GET.get(side, "").isdecimal() else None
            for side in ("left", "right")
        )
        rows = differences(left, right) if left is not None and right is not None else []
        return self.render(
            _("Compare two releases"),
            tenants=list(self.tenants()),
            tenant=tenant,
            releases=releases,
            left=left,
            right=right,
            rows=rows,
        )


def differences(left: Release, right: Release) -> Sequence[Difference]:
    """Return what two releases hold, package by package, and what else they say, side by side."""
    ours, theirs = _packages(left), _packages(right)
    names = sorted({*ours, *theirs})
    return [
        *(Difference(name, ours.get(name, ""), theirs.get(name, "")) for name in names),
        Difference(_("Conditions"), _conditions(left), _conditions(right)),
        Difference(_("What must have run before"), _stone(left), _stone(right)),
        Difference(_("Health signals"), _signals(left), _signals(right)),
        Difference(_("Codes that halt at once"), ", ".join(left.halt_codes), ", ".join(right.halt_codes)),
        *(
            Difference(_("Notes, %(language)s") % {"language": tag}, left.notes.get(tag, ""), right.notes.get(tag, ""))
            for tag in sorted({*left.notes, *right.notes})
        ),
    ]


def _packages(release: Release) -> Mapping[str, str]:
    return {
        f"{item.package.role}/{item.package.name}": (
            ", ".join(
                [
                    item.package.version,
                    _("%(number)s bytes") % {"number": f"{item.package.length:,}"},
                    *item.package.hardware_ids,
                    *([_("position %(number)s") % {"number": item.position}] if item.position else []),
                ]
            )
        )
        for item in release.items.all()
    }


def _conditions(release: Release) -> str:
    return "; ".join(
        sorted(
            f"{words.of_state(c.kind)} {c.package_name} {', '.join(c.versions)}".strip()
            for c in release.conditions.all()
        )
    )


def _stone(release: Release) -> str:
    return str(release.stepping_stone or "")


def _signals(release: Release) -> str:
    return "; ".join(
        sorted(
            _("%(name)s above %(limit)s: %(rates)s")
            % {"name": s.name, "limit": f"{s.limit:g}", "rates": f"{s.acceptable_rate:.2%}, {s.unacceptable_rate:.2%}"}
            for s in release.signals.all()
        )
    )
