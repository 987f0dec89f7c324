"""Methods for agents: transitions, demonstrations, exploration."""
