"""Our own decode path over the weights of Wan's VAE: one latent frame of one video at a time."""
