"""Which roles earn partner earned credit (PEC), and on which scopes. Never imports Pulumi."""
