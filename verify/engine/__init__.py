"""The registry of claims, proofs, certificates, the runner, replay, and the independent checker."""
