"""Claims and how they are run: registry, proofs, certificates, the runner, replay, the independent checker."""
