"""Analysis: arrays of images in, arrays and numbers out. Images are uint8 (N, C, H, W) at this boundary, codes float32 (N, D)."""
