from django.contrib import admin

from otaserver.audit.models import Entry
from otaserver.console.admin.base import ReadOnlyAdmin
from otaserver.console.site import site
from otaserver.tenants.states import Permission


@admin.register(Entry, site=site)
class EntryAdmin(ReadOnlyAdmin):
    permission = Permission.AUDIT
    list_display = ["number", "tenant", "at", "actor", "action", "subject"]
    list_select_related = ["tenant"]
    search_fields = ["actor", "action", "subject"]
    date_hierarchy = "at"
    ordering = ["-at", "-number"]
    fields = [("number", "at"), ("actor", "action", "subject"), "details", "previous_hash", "hash"]
