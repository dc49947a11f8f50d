"""Makes videos: the HiAR model, its sampler, and the latency benchmark."""
