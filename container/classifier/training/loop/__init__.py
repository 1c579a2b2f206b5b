"""The training loop: batches, steps, epochs, scores and checkpoints."""
