from django.apps import AppConfig


class OperatorApiConfig(AppConfig):
    name = "otaserver.operator_api"
