"""HTTP to carriers: courier, transport, credentials, Retry-After."""
