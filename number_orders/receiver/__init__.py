"""The HTTP side: the orders API and carriers' notices. It asks carriers only what an API request wants to know."""
