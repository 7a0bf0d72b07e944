"""Starts a private RabbitMQ and runs ``lapor-gateway bench`` on it; arguments are passed on."""

import subprocess
import sys

from tests.services.rabbitmq import RabbitMQ


def main() -> int:
    """Returns the benchmark's exit code."""
    with RabbitMQ() as broker:
        command = [sys.executable, "-m", "gateway.cli.main", "bench", "--queue", broker.url, *sys.argv[1:]]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
