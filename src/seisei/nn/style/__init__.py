"""Networks and color transforms of style transfer."""
