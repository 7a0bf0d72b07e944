"""What others rely on: ports, schemas, layout."""
