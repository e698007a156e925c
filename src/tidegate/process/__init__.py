"""Who runs: supervisor, control and workers, and what they say to each other."""
