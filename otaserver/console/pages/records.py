"""The audit record: is its chain whole?"""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from otaserver.audit import queries as audit
from otaserver.audit.models import Chain
from otaserver.console.pages.base import Page
from otaserver.tenants.states import Permission


class VerifyRecords(Page):
    """Computes every hash of a tenant's chain again, when somebody asks for it."""

    template = "console/verify_records.html"
    permission = Permission.AUDIT

    def get(self, request: HttpRequest) -> HttpResponseBase:
        return self._show()

    def post(self, request: HttpRequest) -> HttpResponseBase:
        return self._show(is_checked=True, broken=audit.first_break(self.tenant()))

    def _show(self, *, is_checked: bool = False, broken: int | None = None) -> HttpResponseBase:
        tenant = self.tenant()
        chain = Chain.objects.filter(tenant=tenant).first()
        return self.render(
            _("Is the record whole?"),
            tenant=tenant,
            tenants=list(self.tenants()),
            chain=chain,
            is_checked=is_checked,
            broken=broken,
        )
