"""The loop, its one step, state, processes, health and metrics. Imported by module: `from counterpoint.training.loop import Training`."""
