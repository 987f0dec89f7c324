"""Contrastive analysis: what a target set has beside what it shares with a background set."""
