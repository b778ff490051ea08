from django.contrib import admin
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from otaserver.audit.models import Entry
from otaserver.console.admin.base import ReadOnlyAdmin
from otaserver.console.site import site
from otaserver.tenants.states import Permission


@admin.register(Entry, site=site)
class EntryAdmin(ReadOnlyAdmin):
    permission = Permission.AUDIT
    list_links = [(_("Is the record whole?"), reverse_lazy("console:verify_records"), Permission.AUDIT)]
    list_display = ["number", "tenant", "at", "actor", "action", "subject"]
    list_select_related = ["tenant"]
    search_fields = ["actor", "action", "subject"]
    date_hierarchy = "at"
    ordering = ["-at", "-number"]
    fields = [("number", "at"), ("actor", "action"), "subject", "details", "previous_hash", "hash"]
