"""The last steps of the wizard: setting the account up, and a first test call."""

from aiohttp import web

from ari_app.calls.call import Call
from ari_app.calls.registry import CallRefused
from ari_app.i18n import Message, message
from ari_app.telegram.errors import TelegramError
from ari_app.telegram.peers import MalformedDestination
from ari_app.telegram.setup import Step, StepView
from ari_app.web.calls.views import call_flow
from ari_app.web.http.context import services, web_of
from ari_app.web.http.forms import form
from ari_app.web.http.notes import notes_of
from ari_app.web.lines.line import LINE, number_of, render_line
from ari_app.web.ui import words

routes = web.RouteTableDef()

RECENT_S = 900.0  # a call that began before that is no test call of now

STEPS: dict[Step, tuple[Message, Message]] = {
    Step.CALLS_FROM_EVERYBODY: (
        message("Let everybody call"),
        message("Changes the account's privacy setting “Calls” to “Everybody”."),
    ),
    Step.NUMBER_SHOWN: (
        message("Show the number to everybody"),
        message("Changes the account's privacy setting “Phone number” to “Everybody”, so that people know who calls."),
    ),
    Step.BOT_DIALOGUE: (
        message("Start the chat with the bot"),
        message("Sends /start to the bot from this account, so that it can show its keypad."),
    ),
    Step.INLINE_MODE: (
        message("Inline mode of the bot"),
        message("Only checked: its owner switches it on at @BotFather."),
    ),
    Step.OTHER_DEVICES_SILENT: (
        message("Let other devices of the account not ring"),
        message("Switches calls off on the account's other phones and computers; messages still come there."),
    ),
}


@routes.get(LINE + "/setup")
async def show(request: web.Request) -> web.StreamResponse:
    """What the account needs."""
    return await _steps(request, "lines/setup.html")


@routes.get(LINE + "/setup/steps")
async def steps(request: web.Request) -> web.StreamResponse:
    """The part of the page that waits for the line; steps that show are left as they are ticked."""
    if request.query.get("seen"):
        return web.Response(status=204)
    return await _steps(request, "lines/setup_steps.html")


@routes.post(LINE + "/setup")
async def carry_out(request: web.Request) -> web.StreamResponse:
    """Do what was ticked."""
    number = number_of(request)
    ticked = set((await request.post()).getall("step", []))
    wanted = [step for step in Step if step.value in ticked]
    views: list[StepView] | None
    try:
        views, error = await services(request).account_setup.carry_out(number, wanted), None
    except TelegramError as refused:
        views, error = None, refused
    return _shown(request, "lines/setup.html", views, error, wanted)


async def _steps(request: web.Request, template: str) -> web.StreamResponse:
    views: list[StepView] | None
    try:
        views, error = await services(request).account_setup.look(number_of(request)), None
    except TelegramError as refused:
        views, error = None, refused
    return _shown(request, template, views, error, [])


def _shown(
    request: web.Request,
    template: str,
    views: list[StepView] | None,
    error: TelegramError | None,
    tried: list[Step],
) -> web.StreamResponse:
    return render_line(request, template, views=views, error=error, tried=tried, steps=STEPS)


@routes.get(LINE + "/try")
async def test(request: web.Request) -> web.StreamResponse:
    """A first call, either way."""
    return _test(request, "lines/try.html")


@routes.get(LINE + "/try/call")
async def test_call(request: web.Request) -> web.StreamResponse:
    """How the last call stands."""
    return _test(request, "lines/try_call.html")


@routes.post(LINE + "/try")
async def call(request: web.Request) -> web.StreamResponse:
    """Call somebody on Telegram."""
    number, destination = number_of(request), (await form(request)).get("destination", "")
    try:
        its = services(request)
        await its.dispatcher.test_call(its.lines.line(number), destination)
        notes_of(request).subject = f"{number} → {destination}"
    except CallRefused as refused:
        return _test(request, "lines/try.html", 422, destination, refused.ending.reason.sentence)
    except (MalformedDestination, TelegramError) as refused:
        return _test(request, "lines/try.html", 422, destination, message("{error}", error=refused))
    raise web.HTTPSeeOther(request.path)


def _test(
    request: web.Request, template: str, status: int = 200, destination: str = "", error: Message | None = None
) -> web.StreamResponse:
    number = number_of(request)
    settings = services(request).lines.settings(number)
    call = _last_call(request, number)
    return render_line(
        request,
        template,
        status,
        call=call,
        flow=call_flow(call) if call else [],
        words=words,
        destination=destination,
        error=error,
        context=settings.context,
        extension=number.removeprefix("+"),
    )


def _last_call(request: web.Request, number: str) -> Call | None:
    registry, now = services(request).registry, web_of(request).clock()
    calls = [call for call in (*registry.ended, *registry.calls.values()) if call.line == number]
    return calls[-1] if calls and now - calls[-1].began_at < RECENT_S else None
