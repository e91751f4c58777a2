"""Sandbox carriers on loopback, written from the carriers' pages alone.

Imports no other package of this service, so that one misreading of a page cannot hide in both the adapter and the
carrier it is tested against.
"""
