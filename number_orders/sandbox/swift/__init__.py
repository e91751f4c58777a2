"""The sandbox Swift, written from Swift's pages."""
