"""The form that asks for a family: what it shows of a ladder, and the form itself."""

from app.pages.new.page import blank, form, router

__all__ = ["blank", "form", "router"]
