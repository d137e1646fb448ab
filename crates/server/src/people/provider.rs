//! The provider of OpenID Connect: the authorization code flow with PKCE (OpenID Connect Core 1.0, section 3.1; RFC 7636). Edge: speaks to the
//! provider, and says by which name and groups it knows somebody.

mod http;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use minutebook_access::SignIn;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreGenderClaim, CoreProviderMetadata,
    CoreTokenResponse,
};
use openidconnect::{
    AccessTokenHash, AdditionalClaims, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, SubjectIdentifier, TokenResponse, UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::cookies::Pending;
use super::{BACK, failed};
use crate::limits::{GROUPS_MAX, PERSON_BYTES_MAX, PROVIDER_KNOWN, SECRET_FILE_BYTES_MAX};
use crate::problem::Problem;
use http::{Http, HttpError};

/// Claims that no standard names, such as groups.
#[derive(Debug, Deserialize, Serialize)]
struct Others {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for Others {}

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

pub(super) struct Provider {
    sign_in: SignIn,
    http: Http,
    /// What it said of itself, and when: its keys change.
    known: Mutex<Option<(Instant, CoreProviderMetadata)>>,
}

/// By what a provider knows somebody.
pub(super) struct Known {
    pub(super) name: String,
    pub(super) groups: Vec<String>,
}

/// What is wrong with the provider goes to the log, where who runs the server reads it; who signs in is told that it is so.
fn broken(what: &str, error: impl std::fmt::Display) -> Problem {
    tracing::warn!("nobody can sign in: {what}: {error}");
    failed(StatusCode::BAD_GATEWAY, format!("{what}; the server's log says more"))
}

impl Provider {
    /// # Errors
    /// The certificates that the provider's is held against cannot be read.
    pub(super) fn new(sign_in: SignIn) -> Result<Self, String> {
        let http = Http::new(sign_in.ca_file.as_deref(), sign_in.issuer.starts_with("https:"))?;
        Ok(Self { sign_in, http, known: Mutex::default() })
    }

    pub(super) fn is_for(&self, sign_in: &SignIn) -> bool {
        self.sign_in == *sign_in
    }

    /// Where a browser goes to sign in, and what it has to come back with.
    pub(super) async fn ask(&self, to: String, since: i64) -> Result<(String, Pending), Problem> {
        let client = self.client().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        );
        for scope in &self.sign_in.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
        let pending = Pending {
            state: state.into_secret(),
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
            to,
            since,
        };
        Ok((url.into(), pending))
    }

    /// Who it is that came back with this code.
    pub(super) async fn exchange(&self, code: String, pending: &Pending) -> Result<Known, Problem> {
        let client = self.client().await?;
        let call = self.http.as_function();
        let unset = |error| broken("the provider lacks an endpoint", error);
        let request = client.exchange_code(AuthorizationCode::new(code)).map_err(unset)?;
        let verifier = PkceCodeVerifier::new(pending.verifier.clone());
        let tokens: CoreTokenResponse = request
            .set_pkce_verifier(verifier)
            .request_async(&call)
            .await
            .map_err(|error| broken("the provider did not take the code", told(&error)))?;
        let mut claims = id_claims(&client, &tokens, &pending.nonce)?;
        let wanted = [&self.sign_in.name, &self.sign_in.groups];
        // What a provider says of somebody, it may say when it is asked for it alone (OpenID Connect Core 1.0, section 5.4).
        if wanted.iter().any(|name| !claims.contains_key(*name)) && client.user_info_url().is_some() {
            let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
            let subject = Some(SubjectIdentifier::new(subject));
            let request = client.user_info(tokens.access_token().clone(), subject).map_err(unset)?;
            let more: UserInfoClaims<Others, CoreGenderClaim> = request
                .request_async(&call)
                .await
                .map_err(|error| broken("the provider does not say who it is", told(&error)))?;
            if let Ok(Value::Object(more)) = serde_json::to_value(&more) {
                for (name, value) in more {
                    claims.entry(name).or_insert(value);
                }
            }
        }
        self.known(&claims)
    }

    fn known(&self, claims: &Map<String, Value>) -> Result<Known, Problem> {
        let refused = |what: String| failed(StatusCode::FORBIDDEN, what);
        let claim = &self.sign_in.name;
        let name = claims.get(claim).and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() || name.len() > PERSON_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(refused(format!("the provider gives no `{claim}` by which somebody could be known")));
        }
        // Who may write any address into a profile could be anybody.
        if claim == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
            return Err(refused("the provider does not vouch for the address (`email_verified`)".into()));
        }
        let groups = match claims.get(&self.sign_in.groups) {
            Some(Value::Array(groups)) => {
                groups.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Some(Value::String(group)) => vec![group.clone()],
            _ => Vec::new(),
        };
        if groups.len() > GROUPS_MAX {
            return Err(refused(format!("the provider gives more than {GROUPS_MAX} groups")));
        }
        Ok(Known { name: name.to_owned(), groups })
    }

    async fn client(&self) -> Result<Client, Problem> {
        let metadata = self.metadata().await?;
        let unusable = |what: &str| {
            tracing::error!("nobody can sign in: {what}");
            failed(StatusCode::SERVICE_UNAVAILABLE, "this server is not set up for it; its log says why")
        };
        let secret = match &self.sign_in.secret_file {
            Some(path) => Some(ClientSecret::new(secret(path).map_err(|what| unusable(&what))?)),
            None => None,
        };
        let ways = metadata.token_endpoint_auth_methods_supported();
        let basic = ways.is_none_or(|ways| ways.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let back = format!("{}{BACK}", self.sign_in.public_url.as_str().trim_end_matches('/'));
        let back = RedirectUrl::new(back).map_err(|error| unusable(&error.to_string()))?;
        let id = ClientId::new(self.sign_in.client_id.clone());
        let client = CoreClient::from_provider_metadata(metadata, id, secret).set_auth_type(if basic {
            AuthType::BasicAuth
        } else {
            AuthType::RequestBody
        });
        Ok(client.set_redirect_uri(back))
    }

    /// What the provider says of itself, asked again after a while.
    async fn metadata(&self) -> Result<CoreProviderMetadata, Problem> {
        let mut known = self.known.lock().await;
        if let Some((asked, metadata)) = known.as_ref()
            && asked.elapsed() < PROVIDER_KNOWN
        {
            return Ok(metadata.clone());
        }
        let issuer = IssuerUrl::new(self.sign_in.issuer.clone())
            .map_err(|error| broken("`issuer` is no URL", error))?;
        let metadata = CoreProviderMetadata::discover_async(issuer, &self.http.as_function())
            .await
            .map_err(|error| broken("the provider does not say how to sign in", told(&error)))?;
        Ok(known.insert((Instant::now(), metadata)).1.clone())
    }
}

/// What an ID token says, once it is verified: its signature, issuer, audience, time and nonce, and that the access token belongs to it.
fn id_claims(
    client: &Client,
    tokens: &CoreTokenResponse,
    nonce: &str,
) -> Result<Map<String, Value>, Problem> {
    let wrong = |error: &dyn std::error::Error| broken("what the provider says does not verify", error);
    let token = tokens.id_token().ok_or_else(|| broken("the provider sent no ID token", "no `id_token`"))?;
    let verifier = client.id_token_verifier();
    let claims = token.claims(&verifier, &Nonce::new(nonce.to_owned())).map_err(|error| wrong(&error))?;
    if let Some(expected) = claims.access_token_hash() {
        let algorithm = token.signing_alg().map_err(|error| wrong(&error))?;
        let key = token.signing_key(&verifier).map_err(|error| wrong(&error))?;
        let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key);
        if actual.map_err(|error| wrong(&error))? != *expected {
            return Err(broken("what the provider says does not verify", "another access token"));
        }
    }
    let token = token.to_string();
    let payload = token.split('.').nth(1).and_then(|payload| BASE64URL.decode(payload).ok());
    let claims = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
    claims.ok_or_else(|| broken("what the provider says cannot be read", "no JSON object"))
}

/// What an error says that can hold nothing about a person.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    match error.source().and_then(|source| source.downcast_ref::<HttpError>()) {
        Some(why) => format!("{error}: {why}"),
        None => error.to_string(),
    }
}

/// The secret in a file: without the line break at its end.
fn secret(path: &str) -> Result<String, String> {
    let wrong = |what: &dyn std::fmt::Display| format!("`secret-file`: {what}");
    let about = std::fs::metadata(path).map_err(|error| wrong(&error))?;
    if about.len() > SECRET_FILE_BYTES_MAX {
        return Err(wrong(&"it is too long for a secret"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(wrong(&"it is empty")) } else { Ok(text.to_owned()) }
}
