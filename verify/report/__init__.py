"""Certificates for readers: one self-contained HTML page, and a matrix in Markdown."""

from verify.report.markdown import matrix_markdown
from verify.report.page import html_page, write_html

__all__ = ["html_page", "matrix_markdown", "write_html"]
