//! Reading a `config.json`: values of a wanted type, or what is wrong with them.

use serde_json::Value;

pub(crate) fn wrong<T>(json: &Value, key: &str, what: &str) -> Result<T, String> {
    Err(match &json[key] {
        Value::Null => format!("{key} is missing"),
        value => {
            let shown: String = value.to_string().chars().take(60).collect();
            format!("{key} is {shown}, not {what}")
        }
    })
}

pub(crate) fn size(json: &Value, key: &str, absent: Option<usize>) -> Result<usize, String> {
    match (&json[key], absent) {
        (Value::Null, Some(absent)) => Ok(absent),
        (value, _) => match value.as_u64().and_then(|x| usize::try_from(x).ok()) {
            Some(x) => Ok(x),
            None => wrong(json, key, "a whole number"),
        },
    }
}

pub(crate) fn number(json: &Value, key: &str, absent: Option<f64>) -> Result<f64, String> {
    match (&json[key], absent) {
        (Value::Null, Some(absent)) => Ok(absent),
        (value, _) => value.as_f64().map_or_else(|| wrong(json, key, "a number"), Ok),
    }
}

pub(crate) fn optional_number(json: &Value, key: &str) -> Result<Option<f64>, String> {
    match &json[key] {
        Value::Null => Ok(None),
        _ => number(json, key, None).map(Some),
    }
}

pub(crate) fn flag(json: &Value, key: &str, absent: bool) -> Result<bool, String> {
    match &json[key] {
        Value::Null => Ok(absent),
        value => value.as_bool().map_or_else(|| wrong(json, key, "true or false"), Ok),
    }
}

pub(crate) fn text<'a>(json: &'a Value, key: &str, absent: Option<&'a str>) -> Result<&'a str, String> {
    match (&json[key], absent) {
        (Value::Null, Some(absent)) => Ok(absent),
        (value, _) => value.as_str().map_or_else(|| wrong(json, key, "text"), Ok),
    }
}

pub(crate) fn only(json: &Value, key: &str, value: &str, absent: Option<&str>) -> Result<(), String> {
    match (&json[key], absent) {
        (Value::Null, Some(absent)) if absent == value => Ok(()),
        (found, _) if found == value => Ok(()),
        _ => wrong(json, key, &format!("{value:?}")),
    }
}
