from firmware_store.operations.following import Followed, follow_metadata
from firmware_store.operations.orphans import remove_orphans
from firmware_store.operations.packages import publish_package, withdraw_package
from firmware_store.operations.releases import create_release
from firmware_store.operations.uploads import (
    abandon_package,
    append_bytes,
    begin_package,
    lapse_uploads,
    received_bytes,
    settle_content,
)
from firmware_store.operations.verification_keys import add_verification_key, retire_verification_key

__all__ = [
    "Followed",
    "abandon_package",
    "add_verification_key",
    "append_bytes",
    "begin_package",
    "create_release",
    "follow_metadata",
    "lapse_uploads",
    "publish_package",
    "received_bytes",
    "remove_orphans",
    "retire_verification_key",
    "settle_content",
    "withdraw_package",
]
