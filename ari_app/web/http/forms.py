"""What a page's form sends."""

from aiohttp import web


async def form(request: web.Request) -> dict[str, str]:
    """The text fields, without blanks around them (a password keeps its own); of a field sent twice, the last."""
    fields = await request.post()
    return {
        name: value if "password" in name else value.strip() for name, value in fields.items() if isinstance(value, str)
    }
