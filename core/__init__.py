"""The shared domain: what the plant, the wire and the law mean. Pure; time is an argument."""
