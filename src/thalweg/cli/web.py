"""The web server of `thalweg serve`: one endpoint, a page to try it, a health check.

Bad input is answered with status 422 and the sentence that the command would print, a
request that is too large with 413. Nothing of a request is kept.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from thalweg.cli.predict import predictions
from thalweg.core import check_number, need

if TYPE_CHECKING:
    from thalweg.core import Frame
    from thalweg.estimators import Column, FittedTable

_NEEDS = "thalweg serve needs FastAPI and uvicorn"


@dataclass(frozen=True)
class Limits:
    """The largest request that is answered.

    Parameters
    ----------
    rows : int
    megabytes : float
    """

    rows: int = 10_000
    megabytes: float = 10.0

    def __post_init__(self) -> None:
        from thalweg.core import Interval

        check_number("max_rows", self.rows, Interval("[1, inf)"), owner="serve")
        check_number("max_size", self.megabytes, Interval("(0, inf)"), owner="serve")

    @property
    def n_bytes(self) -> int:
        """The largest size in bytes."""
        return int(self.megabytes * 1e6)


class _Refusal(Exception):
    """A request that is not answered: its status, and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


def need_uvicorn() -> Any:
    """Return the module uvicorn, or say how it is installed."""
    return need("uvicorn", _NEEDS, "serve")


def make_app(model: "FittedTable", name: str, limits: Limits | None = None) -> Any:
    """Return the web application that serves a model.

    Parameters
    ----------
    model : FittedTable
    name : str
        Name of the model, for the page.
    limits : Limits, optional

    Returns
    -------
    fastapi.FastAPI

    Raises
    ------
    ValueError
        If FastAPI is not installed.
    """
    fastapi = need("fastapi", _NEEDS, "serve")
    responses = need("fastapi.responses", _NEEDS, "serve")
    concurrency = need("fastapi.concurrency", _NEEDS, "serve")
    most = limits or Limits()
    # Its own pages of documentation load scripts from the network.
    app = fastapi.FastAPI(title=f"thalweg: {name}", docs_url=None, redoc_url=None)
    page = _page(model, name)

    async def answer(request: Any) -> Any:
        try:
            body = await _body(request, most)
            kind = request.headers.get("content-type", "")
            work = concurrency.run_in_threadpool(_answer, model, body, kind, most)
            found = await work
        except _Refusal as refusal:
            return responses.JSONResponse(
                {"error": refusal.why}, status_code=refusal.status
            )
        return responses.Response(found, media_type="application/json")

    async def show() -> Any:
        return responses.HTMLResponse(page)

    async def health() -> Any:
        return {"status": "ok", "model": name, "columns": len(_inputs(model))}

    # FastAPI reads annotations, which name what is imported inside this function.
    answer.__annotations__ = {"request": fastapi.Request}
    show.__annotations__ = health.__annotations__ = {}
    app.post("/predict", openapi_extra=_description(model))(answer)
    app.get("/", include_in_schema=False)(show)
    app.get("/health")(health)
    return app


async def _body(request: Any, limits: Limits) -> bytes:
    """Read a request, and stop where it becomes too large."""
    large = _Refusal(
        413,
        f"The request is larger than {limits.megabytes:g} MB. Send fewer rows at once, "
        "or start the server with a greater --max-size.",
    )
    told = request.headers.get("content-length", "0")
    if told.isdecimal() and int(told) > limits.n_bytes:
        raise large
    body = bytearray()
    stream: AsyncIterator[bytes] = request.stream()
    async for part in stream:
        body += part
        if len(body) > limits.n_bytes:
            raise large
    return bytes(body)


def _answer(model: "FittedTable", body: bytes, kind: str, limits: Limits) -> str:
    """Return the predictions for the rows of a request, as JSON."""
    try:
        frame = _read_csv(body) if "csv" in kind else _read_records(body)
        if len(frame) > limits.rows:
            raise _Refusal(
                413,
                f"The request has {len(frame)} rows; {limits.rows} are the most. Send "
                "fewer rows at once, or start the server with a greater --max-rows.",
            )
        found, _ = predictions(model, frame)
    except (ValueError, OSError) as error:
        raise _Refusal(422, str(error)) from error
    return json.dumps({"predictions": json.loads(_as_json(found))})


def _as_json(found: "Frame") -> str:
    return str(found.to_json(orient="records", date_format="iso", double_precision=10))


def _read_records(body: bytes) -> "Frame":
    """Read a JSON list of records, or one record."""
    import pandas as pd

    example = '[{"column": value, ...}, ...]'
    try:
        given = json.loads(body.decode("utf-8-sig"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"the request is not JSON ({error}). Send a list of records, {example}, or "
            "a CSV with the header Content-Type: text/csv."
        ) from error
    given = [given] if isinstance(given, dict) else given
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        raise ValueError(
            f"the request is not a list of records. Send {example}, with one record "
            "for each row."
        )
    if not given:
        raise ValueError("the request has no rows. Send at least one record.")
    if not any(given):
        raise ValueError(f"the records hold no values. Send {example}.")
    for number, row in enumerate(given, start=1):
        for name, value in row.items():
            if isinstance(value, dict | list):
                raise ValueError(
                    f"column {name!r} holds {json.dumps(value)[:40]} in row {number}. "
                    "Give a number, a text, true, false or null."
                )
    return pd.DataFrame(given)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number in JSON; null stands for a missing value")


def _read_csv(body: bytes) -> "Frame":
    """Read a CSV as the command does."""
    import tempfile
    from pathlib import Path

    from thalweg.io import read_table

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "request.csv"
        path.write_bytes(body)
        try:
            return read_table(path)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), "the request")) from error


def _inputs(model: "FittedTable") -> "list[Column]":
    return [column for column in model.columns_ if column.kind != "left out"]


def _description(model: "FittedTable") -> dict[str, Any]:
    """Return what OpenAPI says of the endpoint."""
    kinds = {"number": "number", "boolean": "boolean"}
    fields = {
        column.name: {
            "type": [kinds.get(column.kind, "string"), "null"],
            "description": column.detail,
        }
        for column in _inputs(model)
    }
    record = {"type": "object", "properties": fields, "required": list(fields)}
    content = {
        "application/json": {"schema": {"type": "array", "items": record}},
        "text/csv": {"schema": {"type": "string"}},
    }
    return {"requestBody": {"required": True, "content": content}}


def _page(model: "FittedTable", name: str) -> str:
    """Return a page with a field for each column, which works without a network."""
    target = model.target_name_ or "the target"
    title = escape(f"{target}, predicted by {name}")
    rows = "\n".join(map(_field, _inputs(model)))
    return _PAGE.replace("{{title}}", title).replace("{{fields}}", rows)


def _field(column: "Column") -> str:
    name = escape(column.name, quote=True)
    detail = escape(column.detail)
    if column.kind == "category" and column.categories:
        options = "".join(
            f'<option value="{escape(value, quote=True)}">{escape(value)}</option>'
            for value in column.categories
        )
        other = '<option value="">(missing)</option>'
        control = f'<select name="{name}">{options}{other}</select>'
    elif column.kind == "boolean":
        control = (
            f'<select name="{name}"><option>true</option><option>false</option>'
            '<option value="">(missing)</option></select>'
        )
    else:
        usual = f"{column.center:.6g}" if column.kind == "number" else ""
        control = f'<input name="{name}" value="{usual}" autocomplete="off">'
    return f"<label><span>{name}</span>{control}<small>{detail}</small></label>"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><title>{{title}}</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 42rem; margin: 2rem auto; padding: 0 1rem; }
label { display: grid; grid-template-columns: 12rem 12rem 1fr; gap: .7rem;
  margin: .3rem 0; align-items: baseline; }
span, small { overflow-wrap: anywhere; } small { opacity: .7; }
input, select, button { font: inherit; padding: .2rem .4rem; min-width: 0; }
table { border-collapse: collapse; } td { padding: .2rem 1rem .2rem 0; }
@media (max-width: 40rem) { label { grid-template-columns: 1fr; gap: 0; } }
</style></head><body>
<h1>{{title}}</h1>
<form id="row">
{{fields}}
<p><button>Predict</button></p></form>
<div id="answer" role="status"></div>
<p><small>Programs send JSON records, or a CSV, to POST /predict.</small></p>
<script>
const answer = document.getElementById("answer");
document.getElementById("row").addEventListener("submit", async (event) => {
  event.preventDefault();
  const row = {};
  for (const [name, value] of new FormData(event.target)) row[name] = value || null;
  answer.textContent = "";
  const reply = await fetch("predict", {method: "POST", body: JSON.stringify([row]),
    headers: {"Content-Type": "application/json"}});
  const found = await reply.json();
  if (found.error) { answer.textContent = found.error; return; }
  const table = document.createElement("table");
  for (const [name, value] of Object.entries(found.predictions[0])) {
    const line = table.insertRow();
    line.insertCell().textContent = name;
    line.insertCell().textContent = value;
  }
  answer.append(table);
});
</script></body></html>
"""
