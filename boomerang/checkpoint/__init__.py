"""A safetensors checkpoint as a table: tensors, where their bytes are, which files travel."""
