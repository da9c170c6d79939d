"""Files of a run hold what they are documented to hold, even where there was nothing to write."""

from pathlib import Path

import numpy as np
import pandas as pd

from harness.results.files import read_parquet, write_parquet


def names(*values: str | None) -> pd.Series:
    known = [value for value in values if value is not None]
    codes = np.array([-1 if value is None else known.index(value) for value in values])
    return pd.Series(pd.Categorical.from_codes(codes, categories=pd.Index(known, dtype=object)))


def test_a_column_without_any_name_is_still_a_column_of_names(tmp_path: Path) -> None:
    path = tmp_path / "requests.parquet"
    write_parquet(pd.DataFrame({"name": names("GET /", None), "replica": names(None, None), "size": [1, 2]}), path)
    read = read_parquet(path)
    assert read["name"].tolist()[0] == "GET /" and read["size"].tolist() == [1, 2]
    assert isinstance(read["replica"].dtype, pd.CategoricalDtype) and read["replica"].isna().all()
