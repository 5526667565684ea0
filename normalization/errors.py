"""The one tree of errors, drawn by who must act.

ImagegateError
├── CallerError                   the client changes its request
│   ├── InvalidValue              400 invalid_value
│   ├── MissingParameter          400 missing_required_parameter
│   ├── InvalidType               400 invalid_type
│   ├── InvalidJson               400 invalid_json
│   ├── InvalidImage              400 invalid_image
│   ├── ImageTooLarge             400 image_too_large
│   ├── ImageUrlUnreachable       400 image_url_unreachable
│   ├── UnsupportedParameter      400 unsupported_parameter      (strict mode, or no route can)
│   ├── ModerationBlocked         400 moderation_blocked
│   ├── RejectedByProvider        400 rejected_by_provider       (every route refused it as invalid)
│   ├── EndpointRetired           400 endpoint_retired
│   ├── InvalidApiKey             401 invalid_api_key
│   ├── ModelNotAllowed           403 model_not_allowed
│   ├── AdminRequired             403 admin_required
│   ├── UnpricedRoute             403 unpriced_route
│   ├── ModelNotFound             404 model_not_found
│   ├── NotFound                  404 not_found
│   ├── MethodNotAllowed          405 method_not_allowed
│   ├── RequestTooLarge           413 request_too_large
│   ├── IdempotencyKeyReused      422 idempotency_key_reused
│   ├── BudgetExceeded            429 budget_exceeded
│   └── RateLimitExceeded         429 rate_limit_exceeded
│       └── RateNeverAllows       429 rate_limit_exceeded
├── UpstreamError                 a provider failed; the client may try later, or must not
│   ├── UpstreamBusy              429 upstream_busy
│   ├── UpstreamUnavailable       503 upstream_unavailable
│   ├── UpstreamAuth              502 upstream_auth
│   ├── InsufficientProviderCredit 503 insufficient_provider_credit
│   ├── OutcomeUnknown            502 outcome_unknown
│   ├── BadUpstreamResponse       502 bad_upstream_response
│   ├── BadUpstreamImage          502 bad_upstream_image
│   ├── ResultUnavailable         502 result_unavailable
│   ├── GenerationFailed          502 generation_failed
│   └── GenerationTimeout         504 generation_timeout
└── OperatorError                 whoever runs the gateway acts
    ├── Overloaded                503 overloaded
    ├── Draining                  503 draining                   (nothing was submitted)
    │   └── DrainingUnfinished    503 draining                   (work was, and may go on at the next start)
    ├── StorageFull               503 storage_full
    ├── StateUnavailable          503 state_unavailable
    ├── InternalError             500 internal_error
    └── ConfigurationError        stops the start, exit code 2

`status`, `type`, `code` and `should_retry` are what the client sees; the table is in docs/api.md.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Charge = Literal["none", "charged", "unknown"]


class ImagegateError(Exception):
    """Base of every error that this project raises on purpose.

    `message` is shown to the client: it names the parameter, the value and what would be accepted, and never a
    provider's key, URL or body. `detail` is for the operator's log alone.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"
    should_retry: ClassVar[bool | None] = None
    charge: ClassVar[Charge] = "none"
    """Whether a provider may have charged for what failed."""

    def __init__(
        self, message: str, *, param: str | None = None, detail: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.detail = detail
        self.retry_after = retry_after

    def body(self) -> dict[str, dict[str, str | None]]:
        """OpenAI's error envelope, all four keys always present."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class CallerError(ImagegateError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_value"


class InvalidValue(CallerError):
    pass


class MissingParameter(CallerError):
    code = "missing_required_parameter"


class InvalidType(CallerError):
    code = "invalid_type"


class InvalidJson(CallerError):
    code = "invalid_json"


class InvalidImage(CallerError):
    code = "invalid_image"


class ImageTooLarge(CallerError):
    code = "image_too_large"


class ImageUrlUnreachable(CallerError):
    code = "image_url_unreachable"


class UnsupportedParameter(CallerError):
    code = "unsupported_parameter"


class ModerationBlocked(CallerError):
    type = "image_generation_user_error"
    code = "moderation_blocked"


class RejectedByProvider(CallerError):
    code = "rejected_by_provider"


class EndpointRetired(CallerError):
    code = "endpoint_retired"


class InvalidApiKey(CallerError):
    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class ModelNotAllowed(CallerError):
    status = 403
    type = "permission_error"
    code = "model_not_allowed"


class AdminRequired(CallerError):
    status = 403
    type = "permission_error"
    code = "admin_required"


class UnpricedRoute(CallerError):
    status = 403
    type = "permission_error"
    code = "unpriced_route"


class ModelNotFound(CallerError):
    status = 404
    code = "model_not_found"


class NotFound(CallerError):
    status = 404
    code = "not_found"


class MethodNotAllowed(CallerError):
    status = 405
    code = "method_not_allowed"


class RequestTooLarge(CallerError):
    status = 413
    code = "request_too_large"


class IdempotencyKeyReused(CallerError):
    status = 422
    code = "idempotency_key_reused"


class BudgetExceeded(CallerError):
    status = 429
    type = "insufficient_quota"
    code = "budget_exceeded"
    should_retry = False


class RateLimitExceeded(CallerError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    should_retry = True


class RateNeverAllows(RateLimitExceeded):
    """More than a whole minute's allowance at once."""

    should_retry = False


class UpstreamError(ImagegateError):
    status = 502
    type = "upstream_error"
    code = "bad_upstream_response"
    should_retry = False
    charge: ClassVar[Charge] = "unknown"


class UpstreamBusy(UpstreamError):
    status = 429
    type = "rate_limit_error"
    code = "upstream_busy"
    should_retry = True
    charge: ClassVar[Charge] = "none"


class UpstreamUnavailable(UpstreamError):
    status = 503
    type = "server_error"
    code = "upstream_unavailable"
    should_retry = True
    charge: ClassVar[Charge] = "none"


class UpstreamAuth(UpstreamError):
    """The provider's key, TLS, address or model id is wrong: the operator's to mend, so never a 401."""

    code = "upstream_auth"
    charge: ClassVar[Charge] = "none"


class InsufficientProviderCredit(UpstreamError):
    status = 503
    code = "insufficient_provider_credit"
    charge: ClassVar[Charge] = "none"


class OutcomeUnknown(UpstreamError):
    code = "outcome_unknown"


class BadUpstreamResponse(UpstreamError):
    code = "bad_upstream_response"


class BadUpstreamImage(UpstreamError):
    code = "bad_upstream_image"
    charge: ClassVar[Charge] = "charged"


class ResultUnavailable(UpstreamError):
    code = "result_unavailable"
    charge: ClassVar[Charge] = "charged"


class GenerationFailed(UpstreamError):
    code = "generation_failed"


class GenerationTimeout(UpstreamError):
    status = 504
    code = "generation_timeout"


class OperatorError(ImagegateError):
    status = 503
    should_retry = True


class Overloaded(OperatorError):
    code = "overloaded"


class Draining(OperatorError):
    code = "draining"


class DrainingUnfinished(Draining):
    """The gateway stops with work under way: to ask again might buy again."""

    should_retry = False
    charge: ClassVar[Charge] = "unknown"


class StorageFull(OperatorError):
    code = "storage_full"


class StateUnavailable(OperatorError):
    code = "state_unavailable"


class InternalError(OperatorError):
    status = 500
    should_retry = False


class ConfigurationError(OperatorError):
    """A mistake in the configuration; `message` already says file, line, key and what would be accepted."""
