"""Field cases: small services that behave as services in public bug reports do, each with a scenario."""
