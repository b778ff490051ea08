"""What is asked of events, deliveries and letters."""
