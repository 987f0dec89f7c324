"""Users and what they chose."""
