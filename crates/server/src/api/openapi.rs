//! `/v1/openapi.json`: the API as OpenAPI 3.1 describes it, out of what stands at the handlers.

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::PartialSchema;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Info, OpenApi, OpenApiBuilder, PathItem, Ref, ResponseBuilder,
    SecurityRequirement,
};

use crate::problem::Problem;

const KEY: &str = "key";

/// What is said of the whole.
pub(super) fn head() -> OpenApi {
    let mut info = Info::new("Minutebook", env!("CARGO_PKG_VERSION"));
    info.description =
        Some("The audit trail for the decisions of machine-learning models: docs/api.md.".into());
    let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("mbk_…");
    let key = key.description(Some("An API key, as `minutebook api-key create` makes them")).build();
    let components = ComponentsBuilder::new()
        .security_scheme(KEY, SecurityScheme::Http(key))
        .schema("Problem", Problem::schema())
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new(KEY, [] as [&str; 0])]))
        .build()
}

/// The document, with the answer that every operation may give: a problem.
pub(super) fn text(document: &OpenApi) -> String {
    let mut document = document.clone();
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
    // INVARIANT: a document out of texts and lists.
    document.to_pretty_json().unwrap_or_default() + "\n"
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.put, &mut path.post, &mut path.delete].into_iter().flatten()
}

pub(super) fn answer(text: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it was when it was last looked at: a change of the API shows here. `MINUTEBOOK_UPDATE=1` writes it anew.
    #[test]
    fn the_document_is_the_one_in_docs() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let now = text(&super::super::routes().1);
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
