"""Teacher and student as torch modules: loaded, run layer by layer, verified."""
