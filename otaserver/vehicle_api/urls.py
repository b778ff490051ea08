from django.urls import URLPattern, URLResolver, include, path, re_path

from otaserver.vehicle_api import downloads

urlpatterns: list[URLPattern | URLResolver] = [
    path("uptane/", include("otaserver.vehicle_api.uptane.urls")),
    path("aktualizr/", include("otaserver.vehicle_api.aktualizr.urls")),
    path("api/devices/", include("otaserver.vehicle_api.mender.urls")),
    re_path(r"^downloads/(?P<sha256>[0-9a-f]{64})\Z", downloads.download),
    # Last: its addresses begin with a tenant's name, and no tenant has a name that others begin with.
    path("", include("otaserver.vehicle_api.ddi.urls")),
]
