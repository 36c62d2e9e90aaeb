"""What may stand where a block's k x k convolution stood."""
