"""What vehicles, publishers and simulations run; it is installed without the server."""

import sys
from typing import Any

# For a signer that is not used here securesystemslib takes the whole of boto3 along: a third of the start of `ota`.
_modules: dict[str, Any] = sys.modules
if "boto3" not in _modules:
    _modules["boto3"] = None
    import securesystemslib.signer  # noqa: F401

    del _modules["boto3"]
