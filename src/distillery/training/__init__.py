"""Training of teachers and students: one loop, its schedule, checkpoints and history."""
