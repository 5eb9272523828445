"""Results by formula that never touch a model: exit times, landscapes, leaps, regimes, plateaus."""
