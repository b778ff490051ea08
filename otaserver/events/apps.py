from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "otaserver.events"
