"""How nodes are executed: what is fresh is skipped, what is transient is tried again."""
