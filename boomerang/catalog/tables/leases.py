"""The tables of who works on what, and of how often that was tried in vain."""

from sqlalchemy.orm import Mapped, mapped_column

from boomerang.catalog.tables.base import Attempts, Base


class TryRow(Attempts, Base):
    """How often the work under a lease was tried in vain, for work that has no row of its own."""

    __tablename__ = "tries"

    subject: Mapped[str] = mapped_column(primary_key=True)


class LeaseRow(Base):
    """Who works on what. The row outlives its holder, so that the fence only ever grows."""

    __tablename__ = "leases"

    subject: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str | None]
    fence: Mapped[int]
    expires: Mapped[float]
