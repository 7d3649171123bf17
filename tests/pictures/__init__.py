"""Pictures of every workspace in every state, for a person who looks for faults of the layout."""
