"""Views of a prediction: its page, the page of a library of them, and plots."""
