"""What is taken from a provider's answers, and why a sign-in may come to nothing. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from api import access_settings
from core.errors import DanhaoError

MOST_SUBJECT_CHARS: Final = 255  # as the specification has it


class Why(StrEnum):
    """Why a sign-in came to nothing; the page has a sentence for each."""

    DENIED = "denied"  # the person, or the provider, said no
    STALE = "stale"  # begun in another browser, or too long ago
    PROVIDER = "provider"  # it does not answer, or not as it must
    NO_GRANT = "no_grant"  # we know who it is, and nothing is granted to them
    DISABLED = "disabled"
    THROTTLED = "throttled"


class SignInError(DanhaoError):
    """A sign-in that came to nothing; the sentence is for the log, the word for the page."""

    def __init__(self, why: Why, sentence: str) -> None:
        super().__init__(sentence)
        self.why = why


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What is used of a discovery document."""

    authorization: str
    token: str
    keys: str
    userinfo: str | None
    end_session: str | None
    names_itself: bool  # it puts `iss` into its answers (RFC 9207)
    secret_in_body: bool  # it takes the client's secret in the body only


def endpoints_of(told: Mapping[str, Any]) -> Endpoints:
    """Read a discovery document; raises SignInError with every endpoint that is missing."""

    def address(key: str) -> str | None:
        value = told.get(key)
        return value if isinstance(value, str) and access_settings.is_safe(value) else None

    needed = {key: address(key) for key in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    missing = [key for key, value in needed.items() if value is None]
    if missing:
        raise SignInError(Why.PROVIDER, f"no safe address for {', '.join(missing)}")
    ways = told.get("token_endpoint_auth_methods_supported")
    return Endpoints(
        authorization=needed["authorization_endpoint"] or "",
        token=needed["token_endpoint"] or "",
        keys=needed["jwks_uri"] or "",
        userinfo=address("userinfo_endpoint"),
        end_session=address("end_session_endpoint"),
        names_itself=told.get("authorization_response_iss_parameter_supported") is True,
        secret_in_body=isinstance(ways, list)
        and "client_secret_basic" not in ways
        and "client_secret_post" in ways,
    )


def check_subject(subject: str) -> None:
    """Raise SignInError for a subject that is longer or stranger than any may be."""
    if len(subject) > MOST_SUBJECT_CHARS or not subject.isprintable():
        raise SignInError(Why.PROVIDER, "the subject of the token is none")


def signs(key: Any) -> bool:
    """Tell whether a published key is a public one for signatures."""
    return (
        isinstance(key, dict)
        and key.get("kty") in ("RSA", "EC", "OKP")
        and key.get("use", "sig") == "sig"
        and "d" not in key
    )


def has_many(audience: Any) -> bool:
    """Tell whether a token is for others too, so that it has to name us as its party."""
    return isinstance(audience, list) and len(audience) > 1
