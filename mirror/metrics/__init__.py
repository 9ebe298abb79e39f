"""What is measured in a target: promises that must hold, and likeness to the profile; one function per metric."""
