"""The sandbox Bandwidth, written from Bandwidth's pages."""
