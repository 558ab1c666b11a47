"""What a checkpoint holds, and how training resumes from it."""
