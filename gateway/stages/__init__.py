"""The way of a message: receive, process, publish, answer. Each stage reads its work from the database by state."""
