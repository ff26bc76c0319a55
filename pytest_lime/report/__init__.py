"""The HTML report: pictures from arrays, and the page from records alone."""
