use proptest::prelude::*;

use super::*;

fn json(row: &Row) -> String {
    serde_json::to_string(&Tree::Object(row.clone())).unwrap()
}

fn read(interface: Interface, request: &str, answer: &str, is_stream: bool) -> Exchange {
    exchange(interface, request.as_bytes(), Some(Answer { body: answer.as_bytes(), is_stream })).unwrap()
}

fn outputs(exchange: &Exchange, at: usize) -> String {
    json(&exchange.outputs.as_ref().unwrap().row(at))
}

const ASKED: &str = r#"{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5, "stream": true, "seed": null}"#;

#[test]
fn a_completion_that_came_at_once() {
    let answer = r#"{"id": "c-1", "model": "m-2026", "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "Yes",
        "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6, "prompt_tokens_details": {"cached_tokens": 2}}}"#;
    let exchange = read(Interface::Chat, ASKED, answer, false);
    assert_eq!(json(&exchange.inputs.row(0)), r#"{"messages":[{"role":"user","content":"Hi"}]}"#);
    assert_eq!(json(&exchange.params), r#"{"model":"m","temperature":0.5}"#);
    assert_eq!((exchange.model.as_deref(), exchange.version.as_deref()), (Some("m"), Some("m-2026")));
    assert_eq!(
        outputs(&exchange, 0),
        concat!(
            r#"{"content":"Yes","finish_reason":"stop","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}],"#,
            r#""response":"c-1","model":"m-2026","input_tokens":5,"output_tokens":1,"total_tokens":6,"cached_tokens":2}"#
        )
    );
}

#[test]
fn a_completion_in_pieces_as_far_as_it_came() {
    let chunk = |delta: &str, reason: &str| {
        format!(
            "data: {{\"id\":\"c\",\"model\":\"v\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n"
        )
    };
    let begun = chunk(r#"{"role":"assistant","content":""}"#, "null") + &chunk(r#"{"content":"Y"}"#, "null");
    let broken_off = format!("{begun}data: {{\"id\"");
    assert_eq!(
        outputs(&read(Interface::Chat, ASKED, &broken_off, true), 0),
        r#"{"content":"Y","response":"c","model":"v","complete":false}"#
    );
    let tool = r#"{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":"{\"a\""}}]}"#;
    let more = r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"#;
    let all = format!(
        "{begun}{}{}{}{}data: [DONE]\n\n",
        chunk(r#"{"content":"es"}"#, "null"),
        chunk(tool, "null"),
        chunk(more, r#""stop""#),
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n\n"
    );
    assert_eq!(
        outputs(&read(Interface::Chat, ASKED, &all, true), 0),
        concat!(
            r#"{"content":"Yes","finish_reason":"stop","tool_calls":[{"type":"function","function":{"name":"f","arguments":"{\"a\":1}"},"id":"t"}],"#,
            r#""response":"c","model":"v","input_tokens":1,"output_tokens":2,"total_tokens":3,"complete":true}"#
        )
    );
}

#[test]
fn several_choices_are_a_list_and_numbers_out_of_bounds_are_not_followed() {
    let answer = r#"{"choices": [{"index": 1, "message": {"content": "b"}}, {"index": 0, "message": {"content": "a"}},
        {"index": 18446744073709551615, "message": {"content": "c"}}]}"#;
    assert_eq!(
        outputs(&read(Interface::Chat, ASKED, answer, false), 0),
        r#"{"choices":[{"content":"a"},{"content":"b"}]}"#
    );
    let delta = r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":4000000000,"id":"t"}]}}]}"#;
    let cut = read(Interface::Chat, ASKED, &format!("{delta}\n\n"), true);
    assert_eq!(outputs(&cut, 0), r#"{"complete":false}"#);
}

#[test]
fn a_response_whole_and_in_pieces() {
    let whole = r#"{"id":"r","model":"v","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Yes"}]}]}"#;
    let told = concat!(
        r#"{"response":"r","model":"v","response_status":"completed","text":"Yes","#,
        r#""output":[{"type":"message","content":[{"type":"output_text","text":"Yes"}]}]"#
    );
    let asked = r#"{"model": "m", "input": "Hi", "instructions": "Be brief."}"#;
    let exchange = read(Interface::Responses, asked, whole, false);
    assert_eq!(json(&exchange.inputs.row(0)), r#"{"input":"Hi","instructions":"Be brief."}"#);
    assert_eq!(outputs(&exchange, 0), format!("{told}}}"));
    let delta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Ye\"}\n\n";
    let end = format!("data: {{\"type\":\"response.completed\",\"response\":{whole}}}\n\n");
    assert_eq!(
        outputs(&read(Interface::Responses, asked, delta, true), 0),
        r#"{"text":"Ye","complete":false}"#
    );
    assert_eq!(
        outputs(&read(Interface::Responses, asked, &format!("{delta}{end}"), true), 0),
        format!("{told},\"complete\":true}}")
    );
}

#[test]
fn embeddings_are_a_decision_for_each_text() {
    let asked = r#"{"model": "e", "input": ["a", "b"], "dimensions": 2}"#;
    let answer = r#"{"model": "e", "data": [{"index": 1, "embedding": [1, 2.5]}, {"index": 0, "embedding": "AACAPwAAAEA="}],
        "usage": {"prompt_tokens": 2}}"#;
    let exchange = read(Interface::Embeddings, asked, answer, false);
    assert_eq!(exchange.inputs.rows(), Some(2));
    assert_eq!(json(&exchange.inputs.row(1)), r#"{"input":"b"}"#);
    assert_eq!(json(&exchange.params), r#"{"model":"e","dimensions":2}"#);
    assert_eq!(
        outputs(&exchange, 0),
        r#"{"embedding":{"$tensor":{"dtype":"f32","shape":[2],"base64":"AACAPwAAAEA="}}}"#
    );
    assert_eq!(
        outputs(&exchange, 1),
        r#"{"embedding":{"$tensor":{"dtype":"f64","shape":[2],"data":[1.0,2.5]}}}"#
    );
    let one = read(Interface::Embeddings, r#"{"model": "e", "input": [1, 2]}"#, r#"{"data": []}"#, false);
    assert_eq!((one.inputs.rows(), json(&one.inputs.row(0)).as_str()), (Some(1), r#"{"input":[1,2]}"#));
}

#[test]
fn an_error_is_told_whole_or_in_a_stream() {
    let error = r#"{"error": {"message": "no such model", "type": "invalid_request_error"}}"#;
    let exchange = read(Interface::Chat, ASKED, error, false);
    assert!(exchange.failed);
    assert_eq!(outputs(&exchange, 0), r#"{"error":"no such model"}"#);
    let stream = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"Y\"}}}}]}}\n\ndata: {error}\n\n");
    let stream = stream.replace(": {\"message\"", ":{\"message\"");
    let exchange = read(Interface::Chat, ASKED, &stream, true);
    assert!(exchange.failed);
    assert_eq!(outputs(&exchange, 0), r#"{"error":"no such model","content":"Y","complete":false}"#);
}

#[test]
fn tools_with_names_that_mean_something_in_records() {
    let asked =
        r##"{"model": "m", "messages": [], "tools": [{"parameters": {"$defs": {"a": 1}, "$ref": "#"}}]}"##;
    let exchange = exchange(Interface::Chat, asked.as_bytes(), None).unwrap();
    assert_eq!(
        json(&exchange.inputs.row(0)),
        r##"{"messages":[],"tools":[{"parameters":{"$map":{"$defs":{"a":1},"$ref":"#"}}}]}"##
    );
}

#[test]
fn what_is_no_request_is_refused() {
    let refused = |request: &[u8]| exchange(Interface::Chat, request, None).unwrap_err().to_string();
    assert_eq!(refused(b"[]"), "`request`: expected an object");
    assert!(refused(b"{").starts_with("`request`: not JSON"));
}

const PIECES: [&str; 26] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\n\n",
    "data: ",
    "[DONE]",
    "\"",
    "7",
    "18446744073709551615",
    "null",
    "\"choices\"",
    "\"delta\"",
    "\"index\"",
    "\"tool_calls\"",
    "\"content\"",
    "\"error\"",
    "\"input\"",
    "\"data\"",
    "\"embedding\"",
    "\"usage\"",
    "\"type\"",
    "{\"choices\":[{\"index\":7,\"delta\":{\"tool_calls\":[{\"index\":9}]}}]}",
    "{\"input\":[],\"data\":[{\"index\":5,\"embedding\":[1]}]}",
];

proptest! {
    #[test]
    fn anything_is_read_or_refused(
        request in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..10),
        answer in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..12),
        is_stream in any::<bool>(),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let (request, answer) = (request.concat(), answer.concat());
        for interface in [Interface::Chat, Interface::Responses, Interface::Embeddings] {
            for request in [ASKED, r#"{"input":["a","b"]}"#, r#"{"input":[]}"#, &request] {
                for body in [answer.as_bytes(), &bytes] {
                    if let Ok(read) = exchange(interface, request.as_bytes(), Some(Answer { body, is_stream })) {
                        let outputs = read.outputs.unwrap();
                        prop_assert!(outputs.rows().is_none() || outputs.rows() == read.inputs.rows());
                    }
                }
            }
        }
    }
}
