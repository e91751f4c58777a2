"""The HTTP side: the orders API and carriers' notices. It asks carriers nothing but what an API request wants to know."""
