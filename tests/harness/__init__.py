"""What tests share: contracts on a devnet and a driver for it, independent oracles, samples."""
