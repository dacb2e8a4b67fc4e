"""`thalweg serve`: answer requests for predictions over HTTP."""

from typing import Annotated

from thalweg.cli.options import option
from thalweg.cli.predict import ModelFile, load_table_model


def serve(
    model: ModelFile,
    host: Annotated[
        str,
        option("Address to listen at. The default is this machine alone.", of="HOST"),
    ] = "127.0.0.1",
    port: Annotated[int, option("Port to listen at.", of="PORT")] = 8000,
    max_rows: Annotated[int, option("The most rows of one request.", of="N")] = 10_000,
    max_size: Annotated[
        float, option("The largest size of one request, in megabytes.", of="MB")
    ] = 10.0,
) -> None:
    """Serve predictions over HTTP: an endpoint, a page to try it, a health check.

    POST /predict takes JSON records, or a CSV, and returns one prediction for each row.
    GET / is a page with a field for each column. GET /health says whether the model is
    loaded. The server knows no passwords: it listens to this machine alone, unless
    --host says otherwise.

    For example:

    - `thalweg serve flowers.thalweg`

    - `thalweg serve flowers.thalweg --port 9000`
    """
    from thalweg.cli.web import Limits, make_app, need_uvicorn

    if not 0 < port < 65536:
        raise ValueError(f"--port got {port}. Give a port from 1 to 65535.")
    limits = Limits(rows=max_rows, megabytes=max_size)
    server = need_uvicorn()
    app = make_app(load_table_model(model), model.name, limits)
    print(f"Serving {model.name} at http://{host}:{port} (Ctrl-C ends it)", flush=True)
    server.run(app, host=host, port=port, log_level="warning")
