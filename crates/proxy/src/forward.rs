//! One request: passed on, its answer passed back, and when it is a decision, seen on its way. Edge: connections are in `server` and `upstream`.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::Either;
use hyper::body::{Body as _, Incoming};
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, Version};
use minutebook_record::ClassName;

use crate::body::{AnswerBody, Passed, Watcher};
use crate::call::{Answered, Asked, Call, Ended, How, Number};
use crate::headers::{self, DECISION_COUNT, DECISION_ID, Described};
use crate::kept::Kept;
use crate::limits::IDS_TOLD;
use crate::options::{OnFailure, Options, is_secret};
use crate::problem::Own;
use crate::recorder::Recorder;
use crate::route::Route;
use crate::upgrade;
use crate::upstream::Upstream;

/// Passes requests on.
pub(crate) struct Forward {
    options: Options,
    upstream: Upstream,
    recorder: Recorder,
    /// The upstream's own.
    host: Option<HeaderValue>,
}

impl Forward {
    pub(crate) fn new(options: Options, upstream: Upstream, recorder: Recorder) -> Self {
        let host =
            HeaderValue::from_str(upstream.url().authority.as_str()).ok().filter(|_| !options.keeps_host);
        Self { options, upstream, recorder, host }
    }

    /// Answers a request. Dropped meanwhile, because the client hung up, it hangs up on the upstream.
    pub(crate) async fn answer(
        &self,
        mut request: Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Infallible> {
        let uri = self.upstream.uri(request.uri()).filter(|_| request.method() != Method::CONNECT);
        let Some(uri) = uri else { return Ok(Own::NotPassed.answer()) };
        let wanted = upgrade::wanted(&mut request);
        let (parts, body) = request.into_parts();
        let route =
            Route::of(&parts.method, parts.uri.path(), &self.options.mapping).filter(|_| wanted.is_none());
        let mut call = match route {
            None => None,
            Some(route) => match self.begin(&parts, &body, route) {
                Ok(call) => call,
                Err(own) => return Ok(own.answer()),
            },
        };

        let mut passed = headers::to_pass(&parts.headers, self.host.as_ref());
        if let Some(wanted) = &wanted {
            wanted.say(&mut passed);
        }
        let asked = call.as_mut().and_then(Call::so_far).map(|so_far| Arc::clone(&so_far.asked));
        let watcher = asked.clone().map_or(Watcher::Nobody, Watcher::Request);
        let mut onward = Request::new(Passed::new(body, watcher));
        *onward.method_mut() = parts.method;
        *onward.uri_mut() = uri;
        *onward.headers_mut() = passed;
        // How names were written.
        *onward.extensions_mut() = parts.extensions;

        let mut answer = match self.upstream.ask(onward).await {
            Ok(answer) => answer,
            Err(how) => {
                let mut own = Own::Upstream(how).answer();
                if let Some(call) = &mut call {
                    let broke_off = asked.is_some_and(|asked| asked.broke_off());
                    call.set(if broke_off { How::ClientGone } else { how });
                    tell_ids(call, own.headers_mut());
                }
                return Ok(own);
            }
        };
        let mut passed = headers::to_pass(answer.headers(), None);
        if let Some(wanted) = wanted {
            wanted.join(&mut answer, &mut passed);
        }
        let (parts, body) = answer.into_parts();
        let watcher = match call {
            None => Watcher::Nobody,
            Some(mut call) => {
                self.draw_more(&mut call).await;
                tell_ids(&mut call, &mut passed);
                if let Some(so_far) = call.so_far() {
                    let kept = Kept::new(self.recorder.budget(), body.size_hint().exact());
                    let described = Described::by(&parts.headers);
                    so_far.answered = Some(Answered { status: parts.status.as_u16(), described, kept });
                }
                Watcher::Answer(Box::new(call))
            }
        };
        let mut answer = Response::new(Either::Left(Passed::new(body, watcher)));
        *answer.status_mut() = parts.status;
        *answer.version_mut() = Version::HTTP_11;
        *answer.headers_mut() = passed;
        // How names were written, and the reason.
        *answer.extensions_mut() = parts.extensions;
        Ok(answer)
    }

    /// Begins a call that is recorded; nothing when it passes unrecorded because that cannot be.
    fn begin(&self, parts: &Parts, body: &Incoming, route: Route) -> Result<Option<Call>, Own> {
        let is_closed = self.options.on_failure == OnFailure::Closed;
        if is_closed && !self.recorder.works() {
            return Err(Own::NotRecorded);
        }
        let class = self.class(&route);
        let Some(number) = self.recorder.begin(&class) else {
            if is_closed {
                return Err(Own::NotRecorded);
            }
            self.recorder.miss(&class);
            return Ok(None);
        };
        let described = Described::by(&parts.headers);
        let kept = Kept::new(self.recorder.budget(), body.size_hint().exact());
        let named = |name: &Option<_>| name.as_ref().and_then(|name| headers::named(&parts.headers, name));
        let mapped = matches!(route, Route::Mapped(_));
        let ended = Ended {
            numbers: vec![number],
            class,
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path().to_owned(),
            subject: named(&self.options.subject_header),
            actor: named(&self.options.actor_header),
            trace: headers::trace(&parts.headers),
            headers: if mapped { without_secrets(&parts.headers) } else { HeaderMap::new() },
            asked: Asked::new(route, described, kept),
            answered: None,
            how: How::ClientGone,
            duration_ns: 0,
        };
        Ok(Some(Call::new(self.recorder.clone(), ended)))
    }

    fn class(&self, route: &Route) -> ClassName {
        let own = match route {
            Route::Mapped(call) => call.class().and_then(|class| ClassName::new(class).ok()),
            _ => None,
        };
        own.unwrap_or(self.options.class)
    }

    /// Draws a number for each further decision of a call.
    async fn draw_more(&self, call: &mut Call) {
        let Some(so_far) = call.so_far() else { return };
        let rows = so_far.asked.rows().await;
        let more = (1..rows).map_while(|_| self.recorder.begin(&so_far.class));
        let more: Vec<Number> = more.collect();
        so_far.numbers.extend(more);
    }
}

fn without_secrets(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| !is_secret(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Tells the client which decisions these are.
fn tell_ids(call: &mut Call, headers: &mut HeaderMap) {
    let Some(so_far) = call.so_far() else { return };
    let ids: Vec<String> =
        so_far.numbers.iter().take(IDS_TOLD).map(|number| number.id().to_string()).collect();
    if let Ok(ids) = HeaderValue::from_str(&ids.join(",")) {
        headers.insert(DECISION_ID, ids);
    }
    headers.remove(DECISION_COUNT);
    if so_far.numbers.len() > 1 {
        headers.insert(DECISION_COUNT, HeaderValue::from(so_far.numbers.len()));
    }
}
