"""Handlers of the routes that classify: from a body to rows in the engine, and back to an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from elbert.bundle.folder import read_config_file
from elbert.errors import InputError
from elbert.exits import Policy
from elbert.ranking import check_ranker, check_top, read_score_function
from elbert.serving.http.body import BodyReader, ParsedRequest
from elbert.serving.http.errors import ApiError, to_api_error
from elbert.serving.http.headers import OPERATING_POINT, answer_headers, quote_header
from elbert.serving.http.middleware import DisconnectWatch, exchange_of
from elbert.serving.http.negotiation import JSON, NDJSON, prefers_lines
from elbert.serving.http.schemas import classify, hugging_face, open_inference, rerank, tei
from elbert.serving.results import ResultStream, TextResult
from elbert.serving.service import Service
from elbert.serving.settings import HttpSettings
from elbert.tokenization.tokens import count_characters

Handler = Callable[[Request], Awaitable[Response]]


class Endpoint:
    """The handlers of one path, as an ASGI application; for a function Starlette would catch exceptions once more."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = {**handlers, "HEAD": handlers["GET"]} if "GET" in handlers else dict(handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._handlers[scope["method"]](Request(scope, receive))
        await response(scope, receive, send)


class ClassifyHandlers:
    """One handler for each shape of request.

    ``names`` are those of the model; ``others`` has the handlers of every model that a request may name.
    """

    def __init__(
        self,
        service: Service,
        settings: HttpSettings,
        names: Sequence[str],
        others: Mapping[str, ClassifyHandlers] | None = None,
    ) -> None:
        bundle = service.classifier.bundle
        self.max_texts = service.settings.max_client_batch_size
        self._reader = BodyReader(settings.payload_limit, settings.body_seconds)
        self._service = service
        self._auto_truncate = settings.auto_truncate
        self._others = others or {}
        self._labels = service.classifier.labels
        self._name = settings.name
        self._models = names
        self._tags_tokens, self._strategy = bundle.config.task.per_token, bundle.config.aggregation
        declared = read_config_file(bundle.folder).get("problem_type")
        self._activations = tei.Activations(bundle.config, declared)

    async def predict(self, request: Request) -> Response:
        """``POST /predict``."""
        return await self._route(request, ClassifyHandlers._predict)

    async def root(self, request: Request) -> Response:
        """``POST /`` and ``/invocations``: Hugging Face's shape where the body has parameters, else TEI's."""
        return await self._route(request, ClassifyHandlers._root)

    async def classify(self, request: Request) -> Response:
        """``POST /v1/classify`` and ``/classify``; as lines of JSON for clients that accept them."""
        return await self._route(request, ClassifyHandlers._classify)

    async def rerank(self, request: Request) -> Response:
        """``POST /rerank``."""
        return await self._route(request, ClassifyHandlers._rerank)

    async def rerank_documents(self, request: Request) -> Response:
        """``POST /v1/rerank``."""
        return await self._route(request, ClassifyHandlers._rerank_documents)

    async def _route(self, request: Request, answer: Answer) -> Response:
        """Read a body, and answer with the model that it names.

        Raises:
            ApiError: there is no such model, or the request is rejected.
        """
        body = await self._read(request)
        name = find_model_name(body) if self._others else None
        if name is not None and name not in self._others:
            known = ", ".join(dict.fromkeys(handlers._name for handlers in self._others.values()))
            raise ApiError("NotFound", f"no model {name!a:.80} here; expected one of {known:.200} (GET /v1/models)")
        return await answer(self if name is None else self._others[name], request, body)

    async def _predict(self, request: Request, body: bytearray) -> Response:
        self._check_labels_texts()
        parsed = tei.parse_request(body, self.max_texts)
        return await self._answer_ranked(request, parsed, self._activations.tei)

    async def _root(self, request: Request, body: bytearray) -> Response:
        if self._tags_tokens:
            return await self._answer_entities(request, body)
        if hugging_face.has_parameters(body):
            parsed, default = hugging_face.parse_request(body, self.max_texts), self._activations.hugging_face
        else:
            parsed, default = tei.parse_request(body, self.max_texts), self._activations.tei
        return await self._answer_ranked(request, parsed, default)

    async def _classify(self, request: Request, body: bytearray) -> Response:
        parsed = classify.parse_request(body, self.max_texts, self._models)
        exchange = exchange_of(request.scope)
        if b"accept" in exchange.headers and prefers_lines(",".join(request.headers.getlist("accept"))):
            async with DisconnectWatch(request.receive):
                return ClassifyStream(await self._submit(request, parsed), parsed, len(self._labels))
        items = await self._collect(request, parsed)
        answer = classify.to_response(
            items, parsed, len(self._labels), model=self._name, request_id=exchange.request_id
        )
        return _to_json(answer, {OPERATING_POINT: quote_header(items[0].point)})

    async def infer(self, request: Request) -> Response:
        """``POST /v2/models/MODEL/infer``."""
        self._check_labels_texts()
        parsed, infer_request = open_inference.parse_request(await self._read(request), self.max_texts)
        items = await self._collect(request, parsed)
        _raise_first(items)
        answer = open_inference.to_response(self._name, infer_request, items, self._labels)
        return _to_json(answer, {OPERATING_POINT: quote_header(items[0].point)})

    async def _rerank(self, request: Request, content: bytearray) -> Response:
        parsed, body = rerank.parse_request(content, self.max_texts)
        items, policy = await self._collect_ranked(request, parsed)
        answer = rerank.to_ranked(rerank.rank_items(items, parsed.activation, policy), body)
        exchange = exchange_of(request.scope)
        return _to_json(answer, answer_headers(items, exchange.characters, exchange.seconds, exchange.durations))

    async def _rerank_documents(self, request: Request, content: bytearray) -> Response:
        default = read_score_function(self._service.classifier.bundle)
        parsed, body = rerank.parse_documents_request(content, self.max_texts, self._models, default)
        items, policy = await self._collect_ranked(request, parsed)
        ranked = rerank.rank_items(items, parsed.activation, policy)
        name = exchange_of(request.scope).request_id
        answer = rerank.to_documents(ranked, body, parsed, self._name, name)
        return _to_json(answer, {OPERATING_POINT: quote_header(items[0].point)})

    async def _collect_ranked(self, request: Request, parsed: ParsedRequest) -> tuple[list[TextResult], Policy]:
        """Return the result of each text, in order, and the policy.

        Raises:
            ElbertError: the request is rejected, or a text has no score.
        """
        self._check_ranks()
        policy = self._service.ranking_policy(parsed.policy)
        check_top(parsed.top_k, policy)
        items = await self._collect(request, parsed, raw=True, ranked=True)
        _raise_first(items)
        return items, policy

    def _check_ranks(self) -> None:
        """Reject a request for a ranking where the model has no score for a pair.

        Raises:
            ApiError: ``Backend``, as TEI has it.
        """
        try:
            check_ranker(self._service.classifier.bundle.config)
        except InputError as error:
            raise ApiError("Backend", str(error)) from None

    def _check_labels_texts(self) -> None:
        """Reject a request for labels of whole texts where the model tags tokens.

        Raises:
            ApiError: it does.
        """
        if self._tags_tokens:
            raise ApiError(
                "Validation",
                "this model tags tokens, and this route answers labels of whole texts; use POST / or /v1/classify",
            )

    async def _answer_entities(self, request: Request, body: bytearray) -> Response:
        parsed, ignored = hugging_face.parse_token_request(body, self.max_texts, self._strategy)
        items = await self._collect(request, parsed)
        _raise_first(items)
        found = [hugging_face.to_entities(item.prediction, ignored) for item in items]
        exchange = exchange_of(request.scope)
        headers = answer_headers(items, exchange.characters, exchange.seconds, exchange.durations)
        return _to_json(found if parsed.nested else found[0], headers)

    async def _read(self, request: Request) -> bytearray:
        exchange_of(request.scope).classifies = True
        return await self._reader.read(request)

    async def _submit(
        self, request: Request, parsed: ParsedRequest, *, raw: bool = False, ranked: bool = False
    ) -> ResultStream:
        """Submit a request to the service.

        Raises:
            ElbertError: it is rejected.
        """
        truncate = self._auto_truncate if parsed.truncate is None else parsed.truncate
        exchange = exchange_of(request.scope)
        exchange.batch, exchange.texts, exchange.model = parsed.nested, len(parsed.texts), self._name
        exchange.characters = sum(map(count_characters, parsed.texts))
        return await self._service.classify(
            parsed.texts,
            policy=parsed.policy,
            deadline_ms=parsed.deadline_ms,
            trace=parsed.trace,
            truncate=truncate,
            direction=parsed.direction,
            max_tokens=parsed.max_tokens,
            long=parsed.long,
            raw=raw,
            ranked=ranked,
        )

    async def _collect(
        self, request: Request, parsed: ParsedRequest, *, raw: bool = False, ranked: bool = False
    ) -> list[TextResult]:
        """Return the result of each text, in order.

        Raises:
            ElbertError: the request is rejected.
            ClientDisconnected: the client disconnected, and its rows have left the engine.
        """
        async with (
            DisconnectWatch(request.receive),
            await self._submit(request, parsed, raw=raw, ranked=ranked) as answers,
        ):
            items = await answers.all()
        exchange_of(request.scope).record(items)
        return items

    async def _answer_ranked(self, request: Request, parsed: ParsedRequest, default: str) -> Response:
        activation = parsed.activation or default
        items = await self._collect(request, parsed, raw=self._activations.needs_logits(activation))
        _raise_first(items)
        ranked = [tei.rank_labels(self._activations.scores(item, activation), parsed.top_k) for item in items]
        exchange = exchange_of(request.scope)
        headers = answer_headers(items, exchange.characters, exchange.seconds, exchange.durations)
        return _to_json(ranked if parsed.nested else ranked[0], headers)


Answer = Callable[[ClassifyHandlers, Request, bytearray], Awaitable[Response]]


class _Named(msgspec.Struct):
    model: str | None = None


_NAMED = msgspec.json.Decoder(_Named)


def find_model_name(body: bytes | bytearray) -> str | None:
    """Return the model that a body names; None where it names none, or is of no shape with a model."""
    try:
        return _NAMED.decode(body).model
    except (ValueError, RecursionError):  # the parser of its shape rejects it
        return None


class ClassifyStream(Response):
    """Results as lines of JSON, each sent as soon as its text exits; a disconnect frees the rows still running."""

    def __init__(self, answers: ResultStream, parsed: ParsedRequest, num_classes: int) -> None:
        super().__init__(media_type=NDJSON)
        self._answers = answers
        self._parsed = parsed
        self._num_classes = num_classes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines."""
        items = list[TextResult]()
        async with DisconnectWatch(receive), self._answers:
            async for item in self._answers:
                if not items:  # the operating point is known from the first item on
                    await send({"type": "http.response.start", "status": 200, "headers": _stream_headers(item)})
                items.append(item)
                line = msgspec.json.encode(classify.to_item(item, self._parsed, self._num_classes)) + b"\n"
                await send({"type": "http.response.body", "body": line, "more_body": True})
            exchange_of(scope).record(items)
            await send({"type": "http.response.body", "body": b""})


def _stream_headers(first: TextResult) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", NDJSON.encode()),
        (b"x-accel-buffering", b"no"),  # a proxy that collects lines would delay them
        (OPERATING_POINT.encode(), quote_header(first.point).encode()),
    ]


def _raise_first(items: list[TextResult]) -> None:
    for item in items:
        if item.error is not None:
            raise to_api_error(item.error)


def _to_json(answer: object, headers: dict[str, str]) -> Response:
    return Response(msgspec.json.encode(answer), 200, headers, JSON)
