"""The partner link itself: decide, talk, sign in, wait, explain. Never imports Pulumi."""
