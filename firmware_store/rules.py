"""Decisions about packages and releases: pure, no Django."""
