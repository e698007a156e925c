"""The filter around a token: takes it out of the request, has it judged, and acts on the verdict.

A subclass says how a token is judged: at once where that is known, else by something to await, for which this request
waits and no other. Everything else is the same for all kinds of tokens and stands here.
"""

from abc import abstractmethod
from asyncio import Future
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple

from annotated_types import Ge, Le

from tidegate import FieldName, Filter, Later, Request, Response, option
from tidegate.config.kinds import CookieName, Off, Scheme
from tidegate.filters.key_auth import digest_of
from tidegate.filters.tokens.place import UNTOUCHABLE, Flaw, TokenPlace
from tidegate.filters.tokens.principal import Principal, PrincipalReader

__all__ = ["Refusal", "TokenAuth", "Verdict"]


class Refusal(NamedTuple):
    """Why a token lets nobody in: a name that does not change, and the answer."""

    reason: str
    answer: Response

    @property
    def is_of_the_token(self) -> bool:
        """Whether the token itself is to blame; otherwise nobody could look."""
        return self.answer.status == 401


Verdict = Principal | Refusal


TITLES: Final = {
    Flaw.MISSING.value: "The request has no token",
    Flaw.REPEATED.value: "The request has several tokens",
    Flaw.MALFORMED.value: "The token is not well-formed",
    Flaw.TOO_LONG.value: "The token is longer than allowed",
}


class TokenAuth(Filter):
    """What filters have in common that let requests in by a token."""

    identifies: ClassVar[bool] = True

    header: Annotated[str | None, FieldName(), Off()] = option("Authorization", "field that has the token")
    scheme: Annotated[str | None, Scheme(), Off()] = option(
        "Bearer", "what stands before the token in its field; another scheme there is no token"
    )
    cookie: Annotated[str | None, CookieName(), Off()] = option(
        None, "cookie that has the token, where the field has none"
    )
    max_token: Annotated[int, Ge(16), Le(65_536)] = option(8192, "characters that a token may have")
    anonymous: Literal["never", "without_token", "always"] = option(
        "never",
        "who goes on as nobody, with empty `request.auth`, instead of getting 401: those without a token, or those "
        "with a wrong one, too",
    )
    forward_token: bool = option(False, "whether the upstream gets field and cookie with the token")
    headers: Mapping[Annotated[str, FieldName()], str] = option(
        {}, "fields that tell the upstream what the token says, by path; those that a client sends are never passed on"
    )
    subject: Annotated[str | None, Off()] = option(None, "path of who it is")
    tenant: str | None = option(None, "path of for whom; absent: the subject")
    tier: str | None = option(None, "path of the plan, for `tiers` of limits")
    priority: str | None = option(None, "path of how important it is, from -1000 to 1000, for `classes`")
    realm: str = option("tidegate", "said to who has no token")

    def check_options(self) -> None:
        """Tokens have a place, and no field is for two things."""
        if self.header is None and self.cookie is None:
            raise ValueError("there is no place for a token: it needs `header` or `cookie`")
        for name in (self.header, *self.headers):
            if name is not None and name.lower().replace("_", "-") in UNTOUCHABLE:
                raise ValueError(f"{name} cannot be such a field: a request needs it for something else")
        taken = {name.lower() for name in self.headers}
        if self.forward_token and self.header is not None and self.header.lower() in taken:
            raise ValueError(f"{self.header} has the token, which is passed on: it cannot say something else")
        if not (self.realm.isascii() and self.realm.isprintable()) or '"' in self.realm or "\\" in self.realm:
            raise ValueError("the realm is plain ASCII text without quotes and backslashes")

    def prepare(self) -> None:
        """Makes what all requests share."""
        self._place = TokenPlace(self.header, self.scheme, self.cookie, self.max_token)
        self._reader = PrincipalReader(
            self.headers, subject=self.subject, tenant=self.tenant, tier=self.tier, priority=self.priority
        )
        challenge = f'Bearer realm="{self.realm}"'
        self._challenges = (challenge, f'{challenge}, error="invalid_token"')  # RFC 6750, 3.1: nothing when none came
        self._refusals = {name: self.refusal(name, title) for name, title in TITLES.items()}

    def refusal(self, reason: str, title: str) -> Refusal:
        """401: the token lets nobody in."""
        fields = {"WWW-Authenticate": self._challenges[reason != Flaw.MISSING.value], "Cache-Control": "no-store"}
        return Refusal(reason, Response.problem(401, title, type=f"urn:tidegate:{reason}", headers=fields))

    @staticmethod
    def outage(reason: str, title: str) -> Refusal:
        """503: nobody could look whether it does."""
        fields = {"Retry-After": "1", "Cache-Control": "no-store"}
        return Refusal(reason, Response.problem(503, title, type=f"urn:tidegate:{reason}", headers=fields))

    @abstractmethod
    def judge(self, token: str, digest: bytes) -> Verdict | Awaitable[Verdict]:
        """Whom ``token`` stands for; something to await, when that is not known yet. digest: its SHA-256."""

    def on_request(
        self, request: Request
    ) -> Response | Later[Response | None] | Coroutine[Any, Any, Response | None] | None:
        """Goes on for whom the token lets in; something to await when it has to be looked up."""
        token = self._place.find(request)
        if isinstance(token, Flaw):
            return self._refuse(request, self._refusals[token.value])
        verdict = self.judge(token, digest_of(token.encode("ascii")))
        if isinstance(verdict, Principal):  # most are, and so this is the shortest way
            self._admit(request, verdict)
            return None
        if isinstance(verdict, Refusal):
            return self._refuse(request, verdict)
        if isinstance(verdict, Later):
            return Later(verdict.future, partial(self._act_then, request, verdict.then))
        return self._act_later(request, verdict)

    async def _act_later(self, request: Request, later: Awaitable[Verdict]) -> Response | None:
        return self._act(request, await later)

    def _act_then(
        self, request: Request, then: Callable[[Future[Any]], Verdict], future: Future[Any]
    ) -> Response | None:
        return self._act(request, then(future))

    def _act(self, request: Request, verdict: Verdict) -> Response | None:
        if isinstance(verdict, Refusal):
            return self._refuse(request, verdict)
        self._admit(request, verdict)
        return None

    def _admit(self, request: Request, principal: Principal) -> None:
        if not self.forward_token:
            self._place.strip(request)
        principal.apply(request)

    def _refuse(self, request: Request, refusal: Refusal) -> Response | None:
        request.log["auth"] = refusal.reason
        if not self._lets_pass(refusal):
            return refusal.answer
        self._admit(request, self._reader.nobody)
        return None

    def _lets_pass(self, refusal: Refusal) -> bool:
        if self.anonymous == "never" or not refusal.is_of_the_token:
            return False
        return self.anonymous == "always" or refusal.reason == Flaw.MISSING.value
