from firmware_store.operations.direct_uploads import (
    abort_direct_upload,
    begin_direct_upload,
    complete_direct_upload,
    direct_upload_of,
    due_direct_uploads,
    part_addresses,
    received_parts,
    standing_of,
    verify_direct_upload,
)
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
    "abort_direct_upload",
    "add_verification_key",
    "append_bytes",
    "begin_direct_upload",
    "begin_package",
    "complete_direct_upload",
    "create_release",
    "direct_upload_of",
    "due_direct_uploads",
    "follow_metadata",
    "lapse_uploads",
    "part_addresses",
    "publish_package",
    "received_bytes",
    "received_parts",
    "remove_orphans",
    "retire_verification_key",
    "settle_content",
    "standing_of",
    "verify_direct_upload",
    "withdraw_package",
]
