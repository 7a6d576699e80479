"""Reports of certificates: one self-contained HTML page, and a table of claims in Markdown."""

from verify.report.markdown import matrix_markdown
from verify.report.page import html_page, write_html

__all__ = ["html_page", "matrix_markdown", "write_html"]
