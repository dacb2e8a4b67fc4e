"""How ``mlflow.pyfunc.load_model`` reads our file; MLflow looks for these names."""

from typing import Any

from thalweg.core import Run


class Predictor:
    """A model with the one method that MLflow calls."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def predict(self, X: Any, params: Any = None) -> Any:
        """Predict, as the model does."""
        if not isinstance(self.model, Run):
            return self.model.predict(X)
        from thalweg.training import predict

        return predict(self.model, X)


def _load_pyfunc(data_path: str) -> Predictor:
    from thalweg.estimators import load

    return Predictor(load(data_path))
