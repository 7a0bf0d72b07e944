"""What is said between a citizen and the gateway besides reports: commands, wishes, answers, and when to be silent."""
