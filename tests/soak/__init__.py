"""Kill loops: the real gateway process under SIGKILL and broken neighbours, judged by what came out of the queue."""
