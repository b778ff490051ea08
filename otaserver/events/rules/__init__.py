"""Pure decisions about events: what is told, in what form, to whom, how often, and where to."""
