"""Opens the records of conformance/tiny.toml with pandas, polars and DuckDB: the rows that the study must have, alike in
all three, and the values of findings.json found again from them in SQL. The saved tokenizer and docs/records.md hold too.
"""

import json
import sys
from pathlib import Path

import duckdb
import pandas
import polars
from transformers import AutoTokenizer

# 4 sizes and a control, 2 seeds each; the text's loss is measured at 3 checkpoints, the rest at the end.
MODELS, CHECKPOINTS = 10, 3
# Rows of one model: items x candidates (x shots, x numbers in the sum), as tiny.toml asks.
EXPECTED = {
    ("copy", "direct"): MODELS * 60,
    ("mapping", "direct"): MODELS * 40 * 8 * 6,
    ("sum", "direct"): MODELS * 40 * 10 * 2,
    ("sum", "step-by-step"): MODELS * 40 * 2,
    ("text", "direct"): MODELS * CHECKPOINTS * 40,
}

# The metrics of findings.json that are one expression over the candidates of an item.
SQL = {
    "nll": "max(-logprob / num_tokens) filter (target_score = 1)",
    "token_accuracy": "max(list_avg(is_argmax::int[])) filter (target_score = 1)",
    "choice_accuracy": "arg_max(target_score, logprob)",
    "exact_match": "max((generated_text = text)::int) filter (target_score = 1)",
}


def check_rows(folder):
    files = sorted((folder / "records").glob("*.parquet"))
    pattern = str(folder / "records" / "*.parquet")
    in_pandas = pandas.concat(pandas.read_parquet(file) for file in files)
    in_polars = polars.read_parquet(pattern)
    in_duckdb = duckdb.sql(f"select * from read_parquet('{pattern}')")
    assert list(in_pandas.columns) == in_polars.columns == in_duckdb.columns

    by = ["family", "style"]
    counts = {
        "pandas": in_pandas.groupby(by).size().to_dict(),
        "polars": {(family, style): n for family, style, n in in_polars.group_by(by).len().rows()},
        "duckdb": {(f, s): n for f, s, n in in_duckdb.aggregate("family, style, count(*)").fetchall()},
    }
    for name, found in counts.items():
        assert found == EXPECTED, f"{name}: {found}, expected {EXPECTED}"
    totals = {
        "pandas": in_pandas["logprob"].sum(),
        "polars": in_polars["logprob"].sum(),
        "duckdb": in_duckdb.aggregate("sum(logprob)").fetchall()[0][0],
    }
    assert max(totals.values()) - min(totals.values()) < 1e-9 * abs(min(totals.values())), totals
    print(f"{len(files)} parts, {sum(EXPECTED.values())} rows, {len(in_polars.columns)} columns: alike in {', '.join(counts)}")
    return in_duckdb


def check_findings(folder, records):
    findings = json.loads((folder / "findings.json").read_text())
    checked = 0
    for ability in findings["abilities"]:
        expression = SQL.get(ability["metric"])
        if expression is None:
            continue
        for rung, seed, value in query(records, ability, expression):
            point = next(point for point in ability["points"] if point["rung"] == rung)
            found = next(one["value"] for one in point["by_seed"] if one["seed"] == seed)
            assert abs(found - value) < 1e-6, f"{ability['id']}, {rung}, seed {seed}: {found}, in SQL {value}"
            checked += 1
    assert checked > 100, f"only {checked} values were compared"
    print(f"{checked} values of findings.json found again in SQL")


def query(records, ability, expression):
    """(rung, seed, mean over items) of the main ladder's finished models."""
    where = " and ".join(f"{key} = '{ability[key]}'" for key in ("family", "task", "style", "shots"))
    return duckdb.sql(f"""
        with last as (select model, training_seed, max(training_step) as step from records group by all),
        items as (
            select model as rung, training_seed as seed, item, {expression} as value
            from records join last using (model, training_seed)
            where training_step = step and training_ladder = 'main' and {where}
            group by all
        )
        select rung, seed, avg(value) from items group by all
    """).fetchall()


def check_tokenizer(folder, records):
    """Every answer's tokens are those that transformers finds in its text with the saved tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    answers = records.select("text, tokens").distinct().fetchall()
    assert len(answers) > 100
    for text, tokens in answers:
        found = tokenizer.encode(text, add_special_tokens=False)
        assert found == tokens, f"{text!r}: {tokens}, in transformers {found}"
    print(f"{len(answers)} answers have the same tokens in transformers")


def check_documentation(folder):
    """The first Python block of docs/records.md runs as it stands, on these records."""
    text = (Path(__file__).parent.parent / "docs" / "records.md").read_text()
    block = text.split("```python\n")[1].split("```")[0]
    exec(compile(block.replace("studies/small", str(folder)), "docs/records.md", "exec"), {})
    print("docs/records.md runs")


def main():
    folder = Path(sys.argv[1])
    records = check_rows(folder)
    check_findings(folder, records)
    check_tokenizer(folder, records)
    check_documentation(folder)


if __name__ == "__main__":
    main()
