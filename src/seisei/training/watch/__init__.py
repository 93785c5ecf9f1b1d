"""The watch: rules that notice known failures of training."""
