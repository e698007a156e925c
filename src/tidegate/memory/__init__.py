"""What processes share: one region, mapped by all; single-writer slots and single-word atomics, nothing that locks."""
