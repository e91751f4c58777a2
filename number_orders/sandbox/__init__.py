"""Practice carriers on loopback, written from the carriers' own pages and from nothing else.

Imports no other room of this house: a misreading of a page must not hide in both the adapter and
the carrier it is tested against.
"""
