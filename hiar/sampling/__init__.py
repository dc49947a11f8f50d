"""From noise to latents: the noise scale, keyed noise, orders as data, one loop over cells.

Import `SamplerConfig` from `config`, `sample_latents` and `stream_latents` from `sampler`.
`pipelined` shares the steps of one video out over processes. Imports `hiar.model` and
`hiar.runtime`.
"""
