"""The sandbox CM.com, written from CM.com's pages."""
