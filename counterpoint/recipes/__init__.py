"""The registered baselines that methods start from: one file each, found by the registry."""
