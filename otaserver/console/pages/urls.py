"""The addresses of our own pages, below `/console/`."""

from otaserver.console.pages.campaign_actions import ConfirmAction, DecideWave
from otaserver.console.pages.control_room import ControlRoom
from otaserver.console.pages.credentials import (
    NewGatewayToken,
    NewProvisioning,
    NewVerificationKey,
    RetireVerificationKey,
    RevokeGatewayToken,
    RevokeProvisioning,
)
from otaserver.console.pages.drop_draft import DropDraft
from otaserver.console.pages.emergency import ResumeEverything, StopEverything
from otaserver.console.pages.groups import GroupList, NewGroup
from otaserver.console.pages.imports import NewImport, TakeIn
from otaserver.console.pages.keys import Keys
from otaserver.console.pages.new_campaign import NewCampaign
from otaserver.console.pages.packages import NewPackage, PackageContent, SignPackage
from otaserver.console.pages.plan_forecasts import PlanForecast
from otaserver.console.pages.records import VerifyRecords
from otaserver.console.pages.releases import CompareReleases, NewRelease
from otaserver.console.pages.search import Search
from otaserver.console.pages.settings import DdiSettingsPage, TenantSettings
from otaserver.console.pages.webhooks import (
    ChangeWebhook,
    NewWebhook,
    PauseWebhook,
    RemoveWebhook,
    ReplayDelivery,
    ReplayWebhook,
    ResumeWebhook,
    RotateWebhookSecret,
    TryWebhook,
)
from otaserver.console.site import site

site.add_page("search/", Search, "search")
site.add_page("stop/", StopEverything, "stop_everything")
site.add_page("tenants/<int:pk>/resume/", ResumeEverything, "resume_everything")
site.add_page("campaigns/new/drop/", DropDraft, "drop_draft")
site.add_page("campaigns/new/<slug:step>/", NewCampaign, "new_campaign")
site.add_page("campaigns/<int:pk>/", ControlRoom, "control_room")
site.add_page("campaigns/<int:pk>/waves/<int:number>/decide/", DecideWave, "decide_wave")
site.add_page("campaigns/<int:pk>/forecast/", PlanForecast, "plan_forecast")
site.add_page("campaigns/<int:pk>/<slug:name>/", ConfirmAction, "confirm_action")
site.add_page("groups/", GroupList, "groups")
site.add_page("groups/new/", NewGroup, "new_group")
site.add_page("packages/new/", NewPackage, "new_package")
site.add_page("packages/<int:pk>/content/", PackageContent, "package_content")
site.add_page("packages/<int:pk>/sign/", SignPackage, "sign_package")
site.add_page("releases/new/", NewRelease, "new_release")
site.add_page("releases/compare/", CompareReleases, "compare_releases")
site.add_page("keys/", Keys, "keys")
site.add_page("records/verify/", VerifyRecords, "verify_records")
site.add_page("settings/", TenantSettings, "tenant_settings")
site.add_page("settings/ddi/", DdiSettingsPage, "change_ddi_settings")
site.add_page("gateway-tokens/new/", NewGatewayToken, "new_gateway_token")
site.add_page("gateway-tokens/<int:pk>/revoke/", RevokeGatewayToken, "revoke_gateway_token")
site.add_page("provisioning/new/", NewProvisioning, "new_provisioning")
site.add_page("provisioning/<int:pk>/revoke/", RevokeProvisioning, "revoke_provisioning")
site.add_page("verification-keys/new/", NewVerificationKey, "new_verification_key")
site.add_page("verification-keys/<int:pk>/retire/", RetireVerificationKey, "retire_verification_key")
site.add_page("imports/new/", NewImport, "new_import")
site.add_page("imports/<int:pk>/take-in/", TakeIn, "take_import_in")
site.add_page("webhooks/new/", NewWebhook, "new_webhook")
site.add_page("webhooks/<int:pk>/", ChangeWebhook, "change_webhook")
site.add_page("webhooks/<int:pk>/pause/", PauseWebhook, "pause_webhook")
site.add_page("webhooks/<int:pk>/resume/", ResumeWebhook, "resume_webhook")
site.add_page("webhooks/<int:pk>/secret/", RotateWebhookSecret, "rotate_webhook_secret")
site.add_page("webhooks/<int:pk>/test/", TryWebhook, "try_webhook")
site.add_page("webhooks/<int:pk>/replay/", ReplayWebhook, "replay_webhook")
site.add_page("webhooks/<int:pk>/remove/", RemoveWebhook, "remove_webhook")
site.add_page("deliveries/<int:pk>/replay/", ReplayDelivery, "replay_delivery")
