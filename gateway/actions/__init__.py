"""What operators do to messages, channels and senders; each act and its audit row in one transaction."""
