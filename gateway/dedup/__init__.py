"""Whether two texts tell of the same matter: normalising, comparing, and the sketches by which others are found."""
