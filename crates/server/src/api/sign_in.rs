//! `/v1/sign-in`, `/v1/session`: people sign in, see who they are, and sign out. Edge: requests and answers; the rest is done by `people`.

use std::sync::Arc;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use minutebook_access::Proof;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use utoipa::IntoParams;

use super::records::given;
use crate::access::Asker;
use crate::people::{Onward, People, Returned, Session};
use crate::problem::Problem;

/// There are none on the socket, which is its owner's.
pub(super) type Known = Option<Extension<Arc<People>>>;

fn people(known: Known) -> Result<Arc<People>, Problem> {
    known.map(|Extension(people)| people).ok_or_else(|| {
        let detail = "nobody signs in over the socket: it is its owner's";
        Problem::new(StatusCode::NOT_FOUND, "no-sign-in", "No sign-in", detail)
    })
}

fn onward(Onward { to, cookies }: Onward) -> Result<Response, Problem> {
    let to = HeaderValue::from_str(&to).map_err(|_| Problem::request("it does not lead anywhere"))?;
    let mut answer = (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
    for cookie in cookies {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Begin {
    /// The path to go on to afterwards; `/v1/session` when left out.
    to: Option<String>,
}

/// Sends a browser to the provider to sign in.
#[utoipa::path(
    get,
    path = "/v1/sign-in",
    tag = "people",
    security(()),
    params(Begin),
    responses(
        (status = 303, description = "To the provider's page"),
        (status = 404, description = "Nobody signs in to this trail"),
    )
)]
pub(super) async fn sign_in(
    known: Known,
    begin: Result<Query<Begin>, QueryRejection>,
) -> Result<Response, Problem> {
    let Begin { to } = given(begin)?;
    onward(people(known)?.begin(to).await?)
}

/// Where the provider sends a browser back to.
#[utoipa::path(
    get,
    path = "/v1/sign-in/back",
    tag = "people",
    security(()),
    params(
        ("code" = Option<String>, Query, description = "What stands for who signed in"),
        ("state" = Option<String>, Query, description = "As it was sent to the provider"),
        ("iss" = Option<String>, Query, description = "The provider"),
        ("error" = Option<String>, Query, description = "Why nobody signed in"),
    ),
    responses(
        (status = 303, description = "Signed in, and on to where it was begun from"),
        (status = 403, description = "The provider refuses, or whoever it is has no role here"),
    )
)]
pub(super) async fn back(known: Known, headers: HeaderMap, uri: Uri) -> Result<Response, Problem> {
    // Providers may send more than these.
    let mut returned = Returned::default();
    let query = uri.query().unwrap_or_default();
    for (name, value) in openidconnect::url::form_urlencoded::parse(query.as_bytes()) {
        let place = match &*name {
            "code" => &mut returned.code,
            "state" => &mut returned.state,
            "iss" => &mut returned.iss,
            "error" => &mut returned.error,
            _ => continue,
        };
        if place.replace(value.into_owned()).is_some() {
            return Err(Problem::request(format!("`{name}` is there more than once")));
        }
    }
    onward(people(known)?.finish(&headers, returned).await?)
}

/// Who asks, and what they may do.
#[utoipa::path(
    get,
    path = "/v1/session",
    tag = "people",
    responses((
        status = 200,
        description = "`name`, `kind` (`key`, `person` or `owner`), `roles`, `models`; of a person `csrf` and `lasts_s`, seconds until it ends",
        body = Object,
    )),
)]
pub(super) async fn session(asker: Asker, session: Option<Extension<Session>>) -> Json<Value> {
    let Some(who) = asker.who() else { return Json(json!({ "kind": "owner" })) };
    let kind = if who.proof == Proof::SignIn { "person" } else { "key" };
    let mut told = json!({ "name": who.name, "kind": kind, "roles": who.roles, "models": who.models });
    if let Some(Extension(session)) = session {
        told["csrf"] = session.csrf.as_str().into();
        told["lasts_s"] = session.lasts_s(Instant::now()).into();
    }
    Json(told)
}

/// Signs out.
#[utoipa::path(
    delete,
    path = "/v1/session",
    tag = "people",
    responses(
        (status = 204, description = "Signed out"),
        (status = 404, description = "Nobody signs in to this trail"),
    )
)]
pub(super) async fn sign_out(known: Known, headers: HeaderMap) -> Result<Response, Problem> {
    let mut answer = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = people(known)?.sign_out(&headers).await? {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// The name of a person; everybody when left out.
    name: Option<String>,
}

/// Ends the sessions of a person, or of everybody.
#[utoipa::path(
    delete,
    path = "/v1/sessions",
    tag = "people",
    params(Whose),
    responses((status = 200, description = "`ended`, how many", body = Object)),
)]
pub(super) async fn end_sessions(
    asker: Asker,
    known: Known,
    whose: Result<Query<Whose>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Whose { name } = given(whose)?;
    let ended = people(known)?.end_sessions(&asker, name.as_deref()).await?;
    Ok(Json(json!({ "ended": ended })))
}
