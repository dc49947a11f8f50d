"""CausalWan, the transformer: sizes, layers, rotary positions, attention, KV cache.

Import `WanConfig` from `config`, `CausalWan` from `transformer`. Maths on tensors, without files.
Imports `hiar.runtime`.
"""
