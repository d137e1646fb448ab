//! Bodies, events, spans and lines as their senders write them: what a fuzzer begins from. Edge: what is read of them is tested in
//! `minutebook-adapters`.

use minutebook_adapters::otlp::{self, Wire};

use crate::seeds::{BETWEEN, joined};

/// Requests and answers.
pub(super) const CALLS: [(&[u8], &[u8]); 16] = [
    (
        br#"{"id":"r","parameters":{"p":1},"inputs":[{"name":"a","shape":[2,3],"datatype":"FP32","data":[[1,2,3],[4.5,5,6]]},{"name":"b",
"shape":[2],"datatype":"BYTES","data":["x","y"]}]}"#,
        br#"{"model_name":"m","model_version":"2","id":"r","outputs":[{"name":"y","shape":[2],"datatype":"INT64","data":[0,1]}]}"#,
    ),
    (
        b"{\"inputs\":[{\"name\":\"a\",\"shape\":[2],\"datatype\":\"INT32\",\"parameters\":{\"binary_data_size\":8}}],\
\"parameters\":{\"binary_data_output\":true}}\x01\0\0\0\x02\0\0\0",
        b"{\"outputs\":[{\"name\":\"y\",\"shape\":[2],\"datatype\":\"BYTES\",\
\"parameters\":{\"binary_data_size\":12}}]}\x02\0\0\0ab\x02\0\0\0cd",
    ),
    (
        br#"{"inputs":[{"name":"a","shape":[1,2],"datatype":"BOOL","data":[true,false]},{"name":"c","shape":[1],"datatype":"FP16",
"data":[1]},{"name":"d","shape":[1],"datatype":"UINT8","data":[255]}]}"#,
        br#"{"error":"no such model"}"#,
    ),
    (
        br#"{"signature_name":"s","instances":[{"a":1},[1,2],"x",null]}"#,
        br#"{"predictions":[0.1,[1,2],{"c":1},null]}"#,
    ),
    (br#"{"dataframe_split":{"index":[0,1],"columns":["a","b"],"data":[[1,"x"],[2.5,null]]},
"params":{"t":1}}"#, br#"{"predictions":[0,1]}"#),
    (br#"{"dataframe_records":[{"a":1},{"a":2}]}"#, br#"{"predictions":[{"0":0.5},{"0":0.25}]}"#),
    (br#"{"inputs":{"a":[1,2],"b":["x","y"]}}"#, br#"{"predictions":{"p":[1,2]}}"#),
    (b"a,b\n1,\"x, \"\"y\"\"\"\n-0.5,\n", b"[1,2]"),
    (br#"{"inputs":[[1,2],[3,4]]}"#, br#"{"error_code":"BAD_REQUEST","message":"no"}"#),
    (
        br#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"temperature":0.5,"stream":true,"tools":[{"type":"function"}],
"seed":null}"#,
        br#"{"id":"c","model":"m-1","choices":[{"index":0,"finish_reason":"stop","message":{"content":"Yes","tool_calls":[{"id":"t",
"type":"function","function":{"name":"f","arguments":"{}"}}]}}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}"#,
    ),
    (
        br#"{"model":"m","messages":[],"n":2,"stream":true}"#,
        b"data: {\"id\":\"c\",\"choices\":[{\"index\":1,\"delta\":{\"content\":\"a\",\"tool_calls\":[{\"index\":0,\
\"function\":{\"arguments\":\"{\"}}]}}]}\r\n\r\n: ping\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"},\
\"finish_reason\":\"stop\"}],\"usage\":{\"total_tokens\":3}}\n\ndata: [DONE]\n\n",
    ),
    (
        br#"{"model":"m","input":"Hi","instructions":"brief","stream":true}"#,
        b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\
\"delta\":\"Y\"}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"model\":\"m-1\",\
\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Yes\"}]}],\
\"usage\":{\"input_tokens\":1}}}\n\n",
    ),
    (
        br#"{"model":"e","input":["a","b",[1,2]],"encoding_format":"base64"}"#,
        br#"{"model":"e-1","data":[{"index":0,"embedding":[0.5,1]},{"index":1,"embedding":"AACAPwAAAD8="}],"usage":{"prompt_tokens":2}}"#,
    ),
    (br#"{"model":"m","messages":[]}"#, br#"{"error":{"message":"no","type":"server_error","code":503}}"#),
    (br#"{"$bytes":"x","a":{"$map":1},"a":{"b":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}}"#, b"\xff\xfe\0"),
    (b"v2/models/credit/versions/3/infer", b"1e400"),
];

/// Events: headers and a body, one as JSON, several.
pub(crate) fn event_seeds() -> Vec<Vec<u8>> {
    let request = r#"{"specversion":"1.0","id":"1","source":"http://s/","type":"org.kubeflow.serving.inference.request",
"time":"2026-11-22T07:00:00.5Z","inferenceservicename":"credit","namespace":"n",
"traceparent":"00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01","data":{"instances":[[1,2]]}}"#;
    let answer = r#"{"specversion":"0.3","id":"1","source":"http://s/","type":"org.kubeflow.serving.inference.response",
"time":"2026-11-22T07:00:01Z","inferenceservicename":"credit","namespace":"n","datacontentencoding":"base64",
"data":"eyJwcmVkaWN0aW9ucyI6WzFdfQ=="}"#;
    let other = r#"{"specversion":"1.0","id":"2","source":"/m","type":"io.seldon.serving.inference.request","modelid":"x",
"data_base64":"AP8="}"#;
    let head = "Ce-Specversion:1.0\nCe-Id:a%20b\nCe-Source:\"http://l/ \\\"q\\\"\"\n\
Ce-Type:io.seldon.serving.inference.response\nCe-Time:2026-11-22T07:00:00Z\nCe-Endpoint:default\n\
Content-Type:application/json";
    let binary =
        joined(head.as_bytes(), br#"{"outputs":[{"name":"y","shape":[1],"datatype":"FP64","data":[0.5]}]}"#);
    vec![request.into(), format!("[{request},{answer},{other},{request}]").into(), other.into(), binary]
}

/// Traces and logs of each convention, in both forms.
pub(crate) fn otlp_seeds() -> Vec<Vec<u8>> {
    let text = |name: &str, value: &str| format!(r#"{{"key":"{name}","value":{{"stringValue":"{value}"}}}}"#);
    let int = |name: &str, value: i64| format!(r#"{{"key":"{name}","value":{{"intValue":"{value}"}}}}"#);
    let conventions = [
        vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.request.model", "small"),
            text("gen_ai.response.model", "small-1"),
            r#"{"key":"gen_ai.request.temperature","value":{"doubleValue":0.2}}"#.to_owned(),
            text("gen_ai.input.messages", r#"[{\"role\":\"user\"}]"#),
            r#"{"key":"gen_ai.output.messages","value":{"arrayValue":{"values":[{"kvlistValue":{"values":[{"key":"role",
"value":{"stringValue":"a"}}]}}]}}}"#.to_owned(),
            int("gen_ai.usage.input_tokens", 12),
        ],
        vec![
            text("openinference.span.kind", "LLM"),
            text("llm.model_name", "m"),
            text("llm.input_messages.0.message.role", "user"),
            text("llm.input_messages.0.message.content", "?"),
            text("llm.output_messages.0.message.content", "!"),
            text("llm.invocation_parameters", r#"{\"t\":1}"#),
            text("input.value", r#"{\"a\":1}"#),
            text("output.value", "x"),
            int("llm.token_count.prompt", 1),
        ],
        vec![text("minutebook.model.name", "credit"), int("minutebook.inputs.age", 40), text("minutebook.outputs.y", "no")],
        vec![
            text("mlflow.spanType", r#"\"LLM\""#),
            text("mlflow.spanInputs", r#"{\"a\":[1]}"#),
            text("mlflow.spanOutputs", r#"\"x\""#),
        ],
    ];
    let mut found = Vec::new();
    for attributes in conventions.map(|attributes| attributes.join(",")) {
        let span = format!(
            r#"{{"resourceSpans":[{{"resource":{{"attributes":[{}]}},"scopeSpans":[{{"scope":{{"name":"lib"}},
"spans":[{{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"chat",
"startTimeUnixNano":"1795330800000000000","endTimeUnixNano":"1795330800250000000","attributes":[{attributes}],
"events":[{{"name":"exception","attributes":[{}]}}],"status":{{"code":2}}}}]}}]}}]}}"#,
            text("service.name", "shop"),
            text("exception.type", "E"),
        );
        let log = |name: &str| {
            format!(
                r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"1795330800000000000","eventName":"{name}",
"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","attributes":[{attributes}],
"body":{{"kvlistValue":{{"values":[{}]}}}}}}]}}]}}]}}"#,
                int("gen_ai.evaluation.score.value", 1),
            )
        };
        let traces = otlp::traces(Wire::Json, span.as_bytes()).expect("a request with spans");
        found.push(prost_of(&traces));
        found.push(span.into_bytes());
        for name in ["gen_ai.client.inference.operation.details", "gen_ai.evaluation.result"] {
            let log = log(name);
            let logs = otlp::logs(Wire::Json, log.as_bytes()).expect("a request with log records");
            found.push(prost_of(&logs));
            found.push(log.into_bytes());
        }
    }
    found
}

fn prost_of(message: &impl prost::Message) -> Vec<u8> {
    message.encode_to_vec()
}

/// Lines, each in one.
pub(crate) fn capture_seeds() -> Vec<Vec<u8>> {
    let part = |encoding: &str, media: &str, data: &str| {
        format!(
            r#"{{"observedContentType":"{media}","mode":"INPUT","data":"{data}","encoding":"{encoding}"}}"#
        )
    };
    let sagemaker = |input: String, output: String| {
        format!(
            r#"{{"captureData":{{"endpointInput":{input},"endpointOutput":{output}}},"eventMetadata":{{"eventId":"da2c46a8",
"inferenceTime":"2026-11-22T07:00:00Z","customAttributes":["a=b"],"inferenceId":"i"}},"eventVersion":"0"}}"#
        )
        .replace('\n', "")
    };
    let azure = |name: &str, data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"i","source":"/subscriptions/s/onlineEndpoints/e/deployments/blue",
"type":"azureml.inference.{name}","time":"2026-11-22T07:00:00Z","correlationid":"c","data":{data},"xrequestid":"x","modelversion":"1",
"collectdatatype":"pandas.core.frame.DataFrame"}}"#
        )
        .replace('\n', "")
    };
    let kserve = |kind: &str, bytes: &str| {
        format!(
            r#"{{"id":"1","sourceUri":"http://s/","reqType":"org.kubeflow.serving.inference.{kind}","inferenceService":"credit",
"namespace":"n","component":"predictor","endpoint":"","occurrenceTime":"2026-11-22T07:00:00Z","contentType":"application/json",
"bytes":"{bytes}","metadata":{{"a":["b"]}}}}"#
        )
        .replace('\n', "")
    };
    vec![
        sagemaker(
            part("CSV", "text/csv", r#"132,25.5,\"a, b\"\n1,,x"#),
            part("CSV", "text/csv", r"0.25\n0.5"),
        )
        .into(),
        sagemaker(
            part("JSON", "application/json", r#"{\"instances\":[1]}"#),
            part("BASE64", "application/x", "AP8="),
        )
        .into(),
        [azure("inputs", r#"[{"a":1,"b":"x"}]"#), azure("outputs", r#"[{"y":0.5}]"#)].join("\n").into(),
        format!(
            "[{}]\n{}",
            kserve("request", "eyJpbnN0YW5jZXMiOlsxXX0="),
            kserve("response", "eyJwcmVkaWN0aW9ucyI6WzFdfQ==")
        )
        .into(),
    ]
}

pub(crate) fn mapping_seeds() -> Vec<Vec<u8>> {
    let one = "[[call]]\npath = \"/score/{model}\"\nmodel = { path = \"model\" }\n\
version = { answer = \"/meta/version\" }\ninputs = \"/features\"\n\
outputs = { score = \"/score\", reason = \"/why/0\" }\nparams = { threshold = \"/threshold\" }\n\
subject = { header = \"X-Applicant\" }\nclass = \"long\"\n";
    let rows = "[[call]]\npath = \"/batch\"\nmethod = \"put\"\nmodel = \"credit\"\nversion = \"7\"\nrows = \"/people\"\n\
answer_rows = \"/results\"\ninputs = { age = \"/age\", \"a/b\" = \"/a~1b\" }\noutputs = \"\"\n\
subject = { request = \"/id\" }\n";
    let answer = br#"{"score":0.5,"why":["old"],"meta":{"version":3}}"#;
    let whole = |file: &str, request: &[u8], answer: &[u8]| {
        [file.as_bytes(), BETWEEN, &joined(request, answer)].concat()
    };
    vec![
        whole(one, br#"{"features":{"a":1},"threshold":0.2}"#, answer),
        whole(
            rows,
            br#"{"people":[{"age":40,"id":"p","a/b":1},{"age":50}]}"#,
            br#"{"results":[{"yes":true},7]}"#,
        ),
    ]
}

pub(crate) fn draft_seeds() -> Vec<Vec<u8>> {
    let decision = r#"{"model":{"name":"credit","version":"3"},"time":"2026-11-22T07:00:00Z","duration_ns":5,"status":"ok",
"inputs":{"age":40,"f":{"$float":"NaN"},"t":{"$tensor":{"type":"f32","shape":[2],"data":[1,2]}},"b":{"$bytes":"AP8="},
"d":{"$decimal":"1.50"},"l":[1,null],"m":{"$map":{"$x":1}}},"outputs":{"approve":false},"subject":"p-1","tags":{"a":"b"},
"attributions":{"age":0.5},"class":"standard"}"#.replace('\n', "");
    let outcome = r#"{"kind":"outcome","of":"01890a5d-ac96-774b-bcce-b302099a8057","outputs":{"paid":true}}"#;
    let review = r#"{"kind":"review","of":"01890a5d-ac96-774b-bcce-b302099a8057","review":{"by":"r","verdict":"confirmed","reason":"x"}}"#;
    vec![
        decision.clone().into(),
        format!("{decision}\n\n{outcome}\n").into(),
        format!("[{outcome},{review}]").into(),
    ]
}
