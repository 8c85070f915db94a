"""Provider plugins that stand in for azuread and azure-native where the real ones are not at hand.

Each is started by the Pulumi engine as an executable (`python -m pal_components.sandbox.stand_in.azuread`,
`python -m pal_components.sandbox.stand_in.azure_native`) and speaks to the same HTTP endpoints as the real plugin, so
that programs written with `pulumi_azuread` and `pulumi_azure_native` run unchanged. They cover what this library and
its tests need, refuse the rest by name, and leave out the real plugins' compiled-in waits.
"""
