//! Which calls are decisions, by method and path. What a mapping file names comes first; everything else passes unrecorded.

use std::sync::Arc;

use hyper::Method;
use minutebook_adapters::mapping::{MappedCall, Mapping};
use minutebook_adapters::oip;
use minutebook_adapters::openai::Interface;

/// How the bodies of a call are read.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// `…/v2/models/NAME[/versions/VERSION]/infer`
    Infer,
    /// `…/invocations`, and `…/v1/models/NAME:predict`, which has the same bodies.
    Invocations,
    /// `…/v1/chat/completions`, `…/v1/responses`, `…/v1/embeddings`
    OpenAi(Interface),
    /// One of the mapping file.
    Mapped(Arc<MappedCall>),
}

impl Route {
    /// How a call is read; nothing when it is no decision.
    pub(crate) fn of(method: &Method, path: &str, mapping: &Mapping) -> Option<Self> {
        if let Some(call) = mapping.find(method.as_str(), path) {
            return Some(Self::Mapped(Arc::clone(call)));
        }
        if method != Method::POST {
            return None;
        }
        let path = path.trim_end_matches('/');
        let is = |end: &str| path.ends_with(end);
        if is("/v1/chat/completions") {
            Some(Self::OpenAi(Interface::Chat))
        } else if is("/v1/responses") {
            Some(Self::OpenAi(Interface::Responses))
        } else if is("/v1/embeddings") {
            Some(Self::OpenAi(Interface::Embeddings))
        } else if is("/invocations") {
            Some(Self::Invocations)
        } else {
            let (model, _) = oip::model_of_path(path)?;
            Some(if path.ends_with(&format!("{model}:predict")) { Self::Invocations } else { Self::Infer })
                .filter(|_| !is(":explain"))
        }
    }

    /// Whether a call may be more than one decision.
    pub(crate) fn may_have_rows(&self) -> bool {
        match self {
            Self::Infer | Self::Invocations => true,
            Self::OpenAi(interface) => *interface == Interface::Embeddings,
            Self::Mapped(call) => call.has_rows(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: Method, path: &str) -> Option<String> {
        let mapping =
            "[[call]]\npath = \"/score\"\nmethod = \"PUT\"\nmodel = \"m\"\ninputs = \"\"\noutputs = \"\"";
        let route = Route::of(&method, path, &Mapping::parse(mapping).unwrap())?;
        Some(match route {
            Route::Infer => "infer".to_owned(),
            Route::Invocations => "invocations".to_owned(),
            Route::OpenAi(interface) => format!("{interface:?}"),
            Route::Mapped(_) => "mapped".to_owned(),
        })
    }

    #[test]
    fn decisions_are_known_by_method_and_path() {
        for (path, expected) in [
            ("/v2/models/m/infer", Some("infer")),
            ("/base/v2/models/m/versions/1/infer", Some("infer")),
            ("/v1/models/m:predict", Some("invocations")),
            ("/invocations", Some("invocations")),
            ("/v1/chat/completions", Some("Chat")),
            ("/openai/v1/responses", Some("Responses")),
            ("/v1/embeddings/", Some("Embeddings")),
            ("/v1/models/m:explain", None),
            ("/v2/models/m", None),
            ("/v2/models/m/ready", None),
            ("/v1/models", None),
            ("/v1/responses/r-1/cancel", None),
            ("/score", None),
            ("/", None),
        ] {
            assert_eq!(of(Method::POST, path).as_deref(), expected, "{path}");
        }
        assert_eq!(of(Method::PUT, "/score").as_deref(), Some("mapped"));
        assert_eq!(of(Method::GET, "/v1/chat/completions"), None);
    }
}
