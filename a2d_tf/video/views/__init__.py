"""Views of a prediction: its page, and the page of a library of them."""
