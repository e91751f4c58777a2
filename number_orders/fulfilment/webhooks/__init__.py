"""Order documents by HTTP: which URLs are allowed, what is sent and how it is signed, when it is tried again."""
