from firmware_store.trust.operations.adoption import adopt_published
from firmware_store.trust.operations.expiry import warn_of_expiry
from firmware_store.trust.operations.keys import create_online_keys
from firmware_store.trust.operations.online import refresh_online
from firmware_store.trust.operations.roots import publish_root
from firmware_store.trust.operations.targets import publish_delegated, publish_targets

__all__ = [
    "adopt_published",
    "create_online_keys",
    "publish_delegated",
    "publish_root",
    "publish_targets",
    "refresh_online",
    "warn_of_expiry",
]
