"""What passes between the rooms: small, without effects, and importing nothing of ours."""
