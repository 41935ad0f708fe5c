"""How nodes are executed: what is fresh is skipped, what is transient is tried again."""

OWN_RUNNER = "TidemarkRunner"  # the name of the project's own
