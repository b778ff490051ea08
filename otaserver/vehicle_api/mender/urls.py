from django.urls import path

from otaserver.vehicle_api.mender import authentication, deployments, inventory, progress

_DEPLOYMENTS = "deployments/device/deployments"

urlpatterns = [
    path("v1/authentication/auth_requests", authentication.auth_requests),
    path("v1/inventory/device/attributes", inventory.attributes),
    path(f"v2/{_DEPLOYMENTS}/next", deployments.next_v2),
    path(f"v1/{_DEPLOYMENTS}/next", deployments.next_v1),
    path(f"v2/{_DEPLOYMENTS}/<uuid:deployment>/update_control_map", deployments.update_control_map),
    path(f"v1/{_DEPLOYMENTS}/<uuid:deployment>/status", progress.status),
    path(f"v1/{_DEPLOYMENTS}/<uuid:deployment>/log", progress.log),
]
