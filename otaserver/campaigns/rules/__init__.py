"""Decisions about campaigns: pure, no Django."""
