from otaserver.imports import without

# For a signer that is not used here it takes the whole of boto3 along, a tenth of what a process takes to start.
with without("boto3"):
    import securesystemslib.signer  # noqa: F401
