"""HTTP for all carriers: courier, transport, credentials, Retry-After."""
