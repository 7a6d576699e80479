"""The claims, one topic a module.  Every module in this folder is found and registered by `load_claims`."""
