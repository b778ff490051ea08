"""What a vehicle proves itself with. The only place of this app that does cryptography; no database, no files."""
