"""A local Azure: sign-in, Microsoft Graph, role assignments and partner links over HTTPS on loopback.

Needs the extra ``sandbox`` of this distribution. Start from :class:`pal_components.sandbox.server.Sandbox` or, on the
command line, ``pal sandbox``. What is recorded behaviour, what is documented and what is a guess: docs/fidelity.md.
"""
