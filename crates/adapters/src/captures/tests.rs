//! Lines as the vendors document them.

use minutebook_present::json::{DraftReader, ReadAt};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn checked(records: &[Tree<'_>]) -> Vec<Value> {
    let mut reader = DraftReader::new(false);
    let at = ReadAt { time_ns: 0, clock_error_ns: None };
    for record in records {
        reader.draft(record, at).unwrap_or_else(|problem| panic!("{problem}: {record:?}"));
    }
    records.iter().map(|record| serde_json::to_value(record).unwrap()).collect()
}

/// The records of lines, those at the end among them.
fn read(form: Form, settings: Settings, lines: &[&str]) -> Vec<Value> {
    let mut captures = Captures::new(form, settings);
    let mut found = Vec::new();
    for line in lines {
        found.extend(captures.read(line.as_bytes()).unwrap());
    }
    found.extend(captures.end());
    checked(&found)
}

fn refused(form: Form, line: &str) -> String {
    Captures::new(form, Settings::default()).read(line.as_bytes()).unwrap_err().to_string()
}

fn sagemaker(input: &Value, output: &Value) -> Vec<Value> {
    let line = json!({
        "captureData": {"endpointInput": input, "endpointOutput": output},
        "eventMetadata": {"eventId": "da2c46a8-4b37-4a1f-a9e8-1d5d3b0e3f4b", "inferenceTime": "2026-11-22T07:00:00Z"},
        "eventVersion": "0",
    });
    let settings = Settings { model: Some("churn".into()), version: Some("4".into()), ..Settings::default() };
    read(Form::Sagemaker, settings, &[&line.to_string()])
}

fn part(encoding: &str, media_type: &str, data: &str) -> Value {
    json!({"observedContentType": media_type, "mode": "INPUT", "data": data, "encoding": encoding})
}

#[test]
fn sagemaker_has_a_call_a_line() {
    let found =
        sagemaker(&part("CSV", "text/csv", "132,25.5,\"a, b\"\n1,,x"), &part("CSV", "text/csv", "0.25\n0.5"));
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["inputs"], json!({"x0": 132.0, "x1": 25.5, "x2": "a, b"}));
    assert_eq!(found[1]["inputs"], json!({"x0": 1.0, "x1": null, "x2": "x"}));
    assert_eq!((&found[1]["outputs"], &found[1]["status"]), (&json!({"y": 0.5}), &json!("ok")));
    assert_eq!(found[0]["model"], json!({"name": "churn", "version": "4"}));
    assert_eq!(found[0]["time"], 1_795_330_800_000_000_000_i64);
    let event = "da2c46a8-4b37-4a1f-a9e8-1d5d3b0e3f4b";
    let environment =
        json!({"intake": "file", "sender": "SageMaker", "event_id": event, "version_from": "settings"});
    assert_eq!(found[0]["environment"], environment);
    let found =
        sagemaker(&part("CSV", "text/csv", "1\n2"), &part("CSV", "text/csv; charset=utf-8", "0.25,0.5"));
    assert_eq!(found[1]["outputs"], json!({"y": 0.5}), "one line with a cell for each row");
    let found = sagemaker(
        &part("CSV", "text/csv", "1\n2"),
        &part("JSON", "application/json", r#"{"predictions": [{"score": 1}, {"score": 2}]}"#),
    );
    assert_eq!(found[1]["outputs"], json!({"score": 2}));
    let found = sagemaker(
        &part("JSON", "application/json", r#"{"instances": [[1, 2]]}"#),
        &part("BASE64", "application/json", "eyJwcmVkaWN0aW9ucyI6WzddfQ=="),
    );
    assert_eq!((&found[0]["inputs"], &found[0]["outputs"]), (&json!({"x0": 1, "x1": 2}), &json!({"y": 7})));
    assert_eq!(sagemaker(&part("CSV", "text/csv", "1"), &Value::Null)[0]["status"], "no answer");
    assert!(refused(Form::Sagemaker, "{}").starts_with("`captureData` is missing"));
}

fn azureml(kind: &str, correlation: &str, data: &Value) -> String {
    json!({
        "specversion": "1.0", "id": format!("{kind}-{correlation}"), "type": format!("azureml.inference.{kind}"),
        "source": "/subscriptions/x/resourceGroups/y/providers/Microsoft.MachineLearningServices/workspaces/z/onlineEndpoints/churn/deployments/blue",
        "time": "2026-11-22T07:00:00Z", "data": data, "correlationid": correlation, "xrequestid": correlation, "modelversion": "7",
        "datacontenttype": "application/json", "collectdatatype": "pandas.core.frame.DataFrame", "agent": "azureml-ai-monitoring/0.1.0b4",
        "contentrange": "bytes 0-116/117",
    })
    .to_string()
}

#[test]
fn azureml_has_half_a_call_a_line() {
    let rows = json!([{"age": 41, "plan": "a"}, {"age": 27, "plan": "b"}]);
    let found = read(
        Form::Azureml,
        Settings::default(),
        &[
            &azureml("inputs", "1", &rows),
            &azureml("model_inputs", "2", &json!([{"age": 3}])),
            &azureml("outputs", "1", &json!([{"churn": 0.25}, {"churn": 0.5}])),
            &azureml("model_outputs", "3", &json!([{"churn": 1}])),
        ],
    );
    assert_eq!(found.len(), 4);
    assert_eq!(
        (&found[1]["inputs"], &found[1]["outputs"]),
        (&json!({"age": 27, "plan": "b"}), &json!({"churn": 0.5}))
    );
    assert_eq!(found[1]["model"], json!({"name": "churn", "version": "7"}));
    let environment = json!({
        "intake": "file", "sender": "Azure ML", "event_id": "1", "endpoint": "churn", "deployment": "blue",
        "paired": "request and answer", "version_from": "sender",
    });
    assert_eq!(found[0]["environment"], environment);
    let alone = |at: usize| {
        (found[at]["status"].as_str().unwrap(), found[at]["environment"]["paired"].as_str().unwrap())
    };
    assert_eq!(alone(2), ("no answer", "no answer came before the end"));
    assert_eq!(alone(3), ("no request", "no request came before the end"));
    let found = refused(Form::Azureml, &azureml("inputs", "1", &Value::Null));
    assert_eq!(found, "`data` is missing");
}

#[test]
fn kserve_has_halves_in_lines_or_arrays() {
    let half = |kind: &str, bytes: &str| {
        json!({
            "url": "s3://bucket", "bytes": bytes, "contentType": "application/json", "reqType": format!("org.kubeflow.serving.inference.{kind}"),
            "id": "9f1d", "sourceUri": "http://localhost:9081/", "inferenceService": "credit-risk", "namespace": "bank", "component": "predictor",
            "endpoint": "default", "metadata": {"X-Request-Id": ["7"]}, "annotations": {"team": "risk"}, "occurrenceTime": "2026-11-22T07:00:00Z",
        })
    };
    let (request, answer) =
        (half("request", "eyJpbnN0YW5jZXMiOltbMSwyXV19"), half("response", "eyJwcmVkaWN0aW9ucyI6WzddfQ=="));
    let found = read(Form::Kserve, Settings::default(), &[&json!([request, answer]).to_string()]);
    assert_eq!(found, read(Form::Kserve, Settings::default(), &[&answer.to_string(), &request.to_string()]));
    assert_eq!((&found[0]["inputs"], &found[0]["outputs"]), (&json!({"x0": 1, "x1": 2}), &json!({"y": 7})));
    assert_eq!(found[0]["environment"]["metadata"], json!({"X-Request-Id": ["7"]}));
    assert_eq!(
        (&found[0]["environment"]["intake"], &found[0]["model"]["name"]),
        (&json!("file"), &json!("credit-risk"))
    );
}

proptest! {
    #[test]
    fn any_line_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        for form in [Form::Sagemaker, Form::Azureml, Form::Kserve] {
            let _ = Captures::new(form, Settings::default()).read(&bytes);
        }
    }

    #[test]
    fn any_cells_are_records(input in ".{0,20}", output in ".{0,20}", encoding in prop::sample::select(vec!["CSV", "JSON", "BASE64", "OTHER"])) {
        let line = json!({
            "captureData": {"endpointInput": part("CSV", "text/csv", &input), "endpointOutput": part(encoding, "text/csv", &output)},
            "eventMetadata": {"eventId": "e", "inferenceTime": "2026-11-22T07:00:00Z"},
        });
        if let Ok(found) = Captures::new(Form::Sagemaker, Settings::default()).read(line.to_string().as_bytes()) {
            checked(&found);
        }
    }
}
