//! The records of a call that is over. Edge: trees in the form of `docs/formats/json.md`; handing them over is in `recorder`.

use std::borrow::Cow;
use std::fmt::Write as _;

use minutebook_adapters::{Call as Told, Members, Tree, payload};
use minutebook_record::Integer;

use crate::call::Ended;
use crate::kept::Kept;
use crate::limits::PATH_BYTES_MAX;
use crate::options::GivenModel;
use crate::read::{self, Understood};

/// The records of a call, one for each of its decisions.
pub(crate) fn records(call: &Ended, given: Option<&GivenModel>) -> Vec<Tree<'static>> {
    let understood = read::read(call, given);
    let Understood { model, version, mut exchange, subjects, mut without_request, mut without_answer } =
        understood;
    let Some(first) = call.numbers.first() else { return Vec::new() };
    let (time_ns, clock_error_ns) = first.started();
    let mut told = Told::new(model, version, *first.id().as_bytes());
    told.time_ns = Some(time_ns);
    told.duration_ns = Some(call.duration_ns);
    told.status = Some(read::status(call, &exchange));
    told.trace = call.trace.map(|(trace, _)| trace);
    told.span = call.trace.map(|(_, span)| span);
    told.subject.clone_from(&call.subject);
    told.actor.clone_from(&call.actor);
    told.class = Some(call.class.as_str().to_owned());
    told.environment = environment(call);
    if told.is_too_large(&exchange) {
        let why = Some("larger than the records of a call may be".to_owned());
        (without_request, without_answer) = (why.clone(), why);
        exchange = payload::too_large(None, None);
    }
    if let Some(why) = without_request {
        left_out(&mut told.environment, "request", &why, &call.asked.kept());
    }
    if let (Some(why), Some(answered)) = (without_answer, &call.answered) {
        left_out(&mut told.environment, "answer", &why, &answered.kept);
    }
    let mut records: Vec<Tree<'static>> = told.records(&exchange).collect();
    for (row, record) in records.iter_mut().enumerate() {
        let Tree::Object(members) = record else { continue };
        if let Some(error) = clock_error_ns {
            members.push(("clock_error_ns".into(), Tree::Integer(error.into())));
        }
        if let Some(Some(subject)) = subjects.get(row) {
            members.retain(|(name, _)| name != "subject");
            members.push(("subject".into(), Tree::Text(Cow::Owned(subject.clone()))));
        }
    }
    records
}

/// The same record without what the model was asked and answered, because that does not fit; with the digests of both.
pub(crate) fn without_content(record: Tree<'static>, call: &Ended, why: &str) -> Tree<'static> {
    let Tree::Object(mut members) = record else { return record };
    members.retain(|(name, _)| !matches!(&**name, "params" | "outputs"));
    for (name, value) in &mut members {
        match (&**name, value) {
            ("inputs", value) => *value = Tree::Object(Members::new()),
            ("environment", Tree::Object(environment)) => {
                environment.retain(|(name, _)| !name.starts_with("request_") && !name.starts_with("answer_"));
                left_out(environment, "request", why, &call.asked.kept());
                if let Some(answered) = &call.answered {
                    left_out(environment, "answer", why, &answered.kept);
                }
            }
            _ => {}
        }
    }
    Tree::Object(members)
}

fn environment(call: &Ended) -> Members<'static> {
    let text = |value: &str| Tree::Text(Cow::Owned(value.to_owned()));
    let cut = call.path.floor_char_boundary(PATH_BYTES_MAX);
    let mut environment: Members<'static> = vec![
        ("via".into(), text("proxy")),
        ("method".into(), text(&call.method)),
        ("path".into(), text(&call.path[..cut])),
    ];
    if let Some(answered) = &call.answered {
        environment.push(("http_status".into(), Tree::Integer(Integer::from(u64::from(answered.status)))));
    }
    environment
}

/// Says that a body is not in the record, why, and which it was.
fn left_out(environment: &mut Members<'static>, which: &str, why: &str, kept: &Kept) {
    let mut put = |what: &str, value| environment.push((Cow::Owned(format!("{which}_{what}")), value));
    let digest = kept.sha256().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    put("left_out", Tree::Text(Cow::Owned(why.to_owned())));
    put("bytes", Tree::Integer(Integer::from(kept.length())));
    put("sha256", Tree::Text(Cow::Owned(digest)));
}
