from django.apps import AppConfig


class FirmwareStoreConfig(AppConfig):
    name = "firmware_store"
    verbose_name = "Software"
