"""Carriers' notices: authenticated, stored, acknowledged, and only then made into questions to the carrier."""
