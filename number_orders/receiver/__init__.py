"""The HTTP side: what carriers, producers and operators send to this service."""
