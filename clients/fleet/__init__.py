"""The fleet simulator: many vehicles, each running the real client code, with seeded trouble."""
