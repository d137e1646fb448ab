//! `/v1/openapi.json`: the API as OpenAPI 3.1 describes it, out of what stands at the handlers.

use axum::Extension;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::PartialSchema;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Info, OpenApi, OpenApiBuilder, PathItem, Ref, ResponseBuilder,
    SecurityRequirement, Server,
};

use super::App;
use super::sign_in::Known;
use crate::access::Asker;
use crate::front::Base;
use crate::people::CSRF;
use crate::problem::Problem;

/// Names of the ways to show who asks.
const KEY: &str = "key";
const SESSION: &str = "session";
const SESSION_TOKEN: &str = "session-token";

/// What a session's cookie is called where no trail says its own: the end is eight characters that stand for the trail's address.
const COOKIE: &str = "__Host-minutebook-XXXXXXXX";

fn needs(names: &[&str]) -> SecurityRequirement {
    let none = [] as [&str; 0];
    names.iter().fold(SecurityRequirement::default(), |needs, name| needs.add(*name, none))
}

fn session(cookie: &str) -> SecurityScheme {
    let said = "Who signed in at `/v1/sign-in`. The name has eight characters that stand for the trail's address, \
                and no `__Host-` where that is not of TLS; a server's own document has it as it is";
    SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(cookie, said)))
}

/// What is said of the whole.
pub(super) fn head() -> OpenApi {
    let mut info = Info::new("Minutebook", env!("CARGO_PKG_VERSION"));
    info.description =
        Some("The audit trail for the decisions of machine-learning models: docs/api.md.".into());
    let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("mbk_…");
    let key = key.description(Some("An API key, as `minutebook api-key create` makes them")).build();
    let token = "With a session, what requests other than GET and HEAD bring: the text that `GET /v1/session` gives. \
                 Over the socket nothing of this is needed";
    let token = ApiKeyValue::with_description(CSRF, token);
    let components = ComponentsBuilder::new()
        .security_scheme(KEY, SecurityScheme::Http(key))
        .security_scheme(SESSION, session(COOKIE))
        .security_scheme(SESSION_TOKEN, SecurityScheme::ApiKey(ApiKey::Header(token)))
        .schema("Problem", Problem::schema())
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([needs(&[KEY]), needs(&[SESSION])]))
        .servers(Some([Server::new("/")]))
        .build()
}

/// The document, with what goes for every operation: that it may answer with a problem, and what a session needs to change something.
pub(super) fn whole(mut document: OpenApi) -> OpenApi {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let problem = ResponseBuilder::new()
        .description("What is wrong, and what to do (RFC 9457)")
        .content("application/problem+json", problem)
        .build();
    // A parameter that goes over several segments has another spelling where it is routed.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        operation.responses.responses.insert("default".into(), problem.clone().into());
    }
    for operation in document.paths.paths.values_mut().flat_map(changing) {
        operation.security.get_or_insert_with(|| vec![needs(&[KEY]), needs(&[SESSION, SESSION_TOKEN])]);
    }
    document
}

fn text(document: &OpenApi) -> String {
    // INVARIANT: a document out of texts and lists.
    document.to_pretty_json().unwrap_or_default() + "\n"
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.put, &mut path.post, &mut path.delete].into_iter().flatten()
}

/// Those that a session does only with its token.
fn changing(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.put, &mut path.post, &mut path.delete].into_iter().flatten()
}

/// The document as it is where it is asked for: its paths begin with what stood before this one, or would have to.
pub(super) fn answer(
    document: &OpenApi,
    app: &App,
    asker: &Asker,
    base: Option<Extension<Base>>,
    people: Known,
) -> impl IntoResponse + use<> {
    let base = match (base, asker) {
        (Some(Extension(base)), _) => Base::of(Some(&base), ""),
        // A header named the trail, which not every request of a program that was made from this may have.
        (None, Asker::Key(_)) => app.identity.base.clone(),
        (None, Asker::Owner) => String::new(),
    };
    let mut document = document.clone();
    document.servers = Some(vec![Server::new(if base.is_empty() { "/" } else { &base })]);
    let cookie = people.and_then(|Extension(people)| people.cookie());
    if let (Some(cookie), Some(components)) = (cookie, &mut document.components) {
        components.security_schemes.insert(SESSION.into(), session(&cookie).into());
    }
    ([(header::CONTENT_TYPE, "application/json")], text(&document))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it was when it was last looked at: a change of the API shows here. `MINUTEBOOK_UPDATE=1` writes it anew.
    #[test]
    fn the_document_is_the_one_in_docs() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let now = text(&whole(super::super::routes().1));
        if std::env::var_os("MINUTEBOOK_UPDATE").is_some() {
            std::fs::write(file, &now).unwrap();
        }
        let then = std::fs::read_to_string(file).unwrap();
        assert!(
            now == then,
            "the API is not as docs/openapi.json says: look at the difference, and update it"
        );
    }
}
