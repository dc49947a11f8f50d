"""A torchvision.io of these days: without write_video."""
