"""The watch: rules that detect common training failures."""
