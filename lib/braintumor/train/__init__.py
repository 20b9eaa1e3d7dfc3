"""Training: expert masks in, weights with measured figures out."""
