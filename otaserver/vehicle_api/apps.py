from django.apps import AppConfig


class VehicleApiConfig(AppConfig):
    name = "otaserver.vehicle_api"
