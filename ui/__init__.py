"""Everything that knows Streamlit, except the pages: frame, live components, HTTP routes, caches, access."""
