class CannotServeError(Exception):
    """The server cannot start, for a reason that its operator can remove; the message is for them."""
