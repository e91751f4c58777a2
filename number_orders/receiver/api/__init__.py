"""The orders API, one module a resource."""
