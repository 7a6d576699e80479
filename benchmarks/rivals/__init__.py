"""The same networks and games in other libraries, checked against ours before they are timed."""
