from django.urls import path

from otaserver.vehicle_api.mender import authentication

urlpatterns = [
    path("v1/authentication/auth_requests", authentication.auth_requests),
]
