"""Reports as data: what they say, in both languages; renderers only set them."""
