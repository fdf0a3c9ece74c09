"""What every room uses: errors, registries, randomness, devices, files, measuring."""
