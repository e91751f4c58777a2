"""Bandwidth: its XML, its rules, its order and disconnect conversations."""
