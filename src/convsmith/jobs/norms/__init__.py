"""The search for a layer that normalises and activates: candidates, what refuses them, what they are held against."""
