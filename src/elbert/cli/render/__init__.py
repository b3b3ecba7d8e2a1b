"""Output for terminals: tables, bars, explanations."""
