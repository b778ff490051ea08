"""The operator API, under `/api/v1/`."""

from django.urls import URLPattern, URLResolver, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from otaserver.operator_api.views import campaigns, fleet, incidents, packages, releases, tenant, timing, trust
from otaserver.operator_api.views.actions import CAMPAIGN_ACTIONS

app_name = "operator_api"

urlpatterns: list[URLPattern | URLResolver] = [
    path("schema", SpectacularAPIView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerView.as_view(url_name="operator_api:schema"), name="docs"),
    path("me", tenant.Me.as_view()),
    path("tenant", tenant.TenantDetail.as_view()),
    path("tenant/stop", tenant.TenantStop.as_view()),
    path("tenant/resume", tenant.TenantResume.as_view()),
    path("audit", tenant.AuditList.as_view()),
    path("packages", packages.PackageList.as_view()),
    path("packages/<int:pk>", packages.PackageDetail.as_view()),
    path("packages/<int:pk>/content", packages.PackageContent.as_view()),
    path("packages/<int:pk>/publish", packages.PackagePublish.as_view()),
    path("packages/<int:pk>/withdraw", packages.PackageWithdraw.as_view()),
    path("trust/online-keys", trust.OnlineKeyList.as_view()),
    path("trust/<str:repository>/root", trust.TrustRoot.as_view()),
    path("trust/image/targets", trust.TrustTopLevel.as_view(), {"role": "targets"}),
    path("trust/<str:repository>/<str:role>", trust.TrustRole.as_view()),
    path("releases", releases.ReleaseList.as_view()),
    path("releases/<int:pk>", releases.ReleaseDetail.as_view()),
    path("vehicles", fleet.VehicleList.as_view()),
    path("vehicles/<str:vehicle_id>", fleet.VehicleDetail.as_view()),
    path("vehicles/<str:vehicle_id>/explanation", fleet.VehicleExplanation.as_view()),
    path("vehicles/<str:vehicle_id>/test-bench", fleet.VehicleTestBench.as_view()),
    path("vehicles/<str:vehicle_id>/order", campaigns.VehicleOrder.as_view()),
    path("groups", fleet.GroupList.as_view()),
    path("groups/preview", fleet.GroupPreview.as_view()),
    path("groups/<int:pk>", fleet.GroupDetail.as_view()),
    path("groups/<int:pk>/vehicles", fleet.GroupVehicles.as_view()),
    path("groups/<int:pk>/block-list", fleet.GroupBlockList.as_view()),
    path("groups/<int:pk>/block-list/lift", fleet.GroupBlockListEnd.as_view()),
    path("claim-codes", fleet.ClaimCodeList.as_view()),
    path("campaigns", campaigns.CampaignList.as_view()),
    path("campaigns/suggest", campaigns.CampaignSuggestion.as_view()),
    path("campaigns/<int:pk>", campaigns.CampaignDetail.as_view()),
    path("campaigns/<int:pk>/forecast", campaigns.CampaignForecast.as_view()),
    path("campaigns/<int:pk>/rollback", campaigns.CampaignRollback.as_view()),
    path("campaigns/<int:pk>/waves", campaigns.CampaignWaves.as_view()),
    path("campaigns/<int:pk>/assignments", campaigns.CampaignAssignments.as_view()),
    path("campaigns/<int:pk>/decisions", campaigns.CampaignDecisions.as_view()),
    path("campaigns/<int:pk>/replay", campaigns.CampaignReplay.as_view()),
    *(path(f"campaigns/<int:pk>/{name}", view.as_view()) for name, view in CAMPAIGN_ACTIONS.items()),
    path("assignments/<int:pk>/consents", timing.AssignmentConsents.as_view()),
    path("blackouts", timing.BlackoutList.as_view()),
    path("blackouts/<int:pk>", timing.BlackoutDetail.as_view()),
    path("blackouts/<int:pk>/lift", timing.BlackoutLift.as_view()),
    path("vehicles/<str:vehicle_id>/time-zone", timing.VehicleTimeZone.as_view()),
    path("failure-codes", incidents.FailureCodeList.as_view()),
    path("workshop-cases", incidents.WorkshopCaseList.as_view()),
    path("workshop-cases/<int:pk>/close", incidents.WorkshopCaseClose.as_view()),
    path("software-changes", incidents.SoftwareChangeList.as_view()),
    path("waves/<int:pk>/decide", campaigns.WaveDecide.as_view()),
]
