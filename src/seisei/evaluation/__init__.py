"""What a trained model is worth: its scores, its sheets."""
