"""From noise to latents: the noise scale, keyed noise, orders as data, one loop over cells.

Import `SamplerConfig` from `config`, `sample_latents` and `stream_latents` from `sampler`, the
machine behind them from `cells`. The room `pipelined` divides the steps of one video among
processes. Imports `hiar.model` and `hiar.runtime`.
"""
