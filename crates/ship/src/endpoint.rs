//! Where a server is: a URL of which every part is checked. Edge: a value; nothing is asked here.

use hyper::Uri;

use crate::error::Error;

/// The URL of a server, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// Reads `http[s]://host[:port][/prefix]`. HTTP without TLS is for loopback, unless `insecure_http` says otherwise.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn parse(url: &str, insecure_http: bool) -> Result<Self, Error> {
        let shown = url.split('@').next_back().unwrap_or_default();
        let wrong = |why| Error::Url { url: shown.to_owned(), why };
        if url.contains('@') {
            return Err(wrong("a key or password does not belong into it"));
        }
        let uri: Uri = url.parse().map_err(|_| wrong("it is no URL"))?;
        if uri.query().is_some() || url.contains('#') {
            return Err(wrong("there is something behind the path"));
        }
        let host = uri.host().ok_or_else(|| wrong("it names no host"))?;
        let is_loopback = host == "localhost"
            || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if is_loopback || insecure_http => {}
            Some("http") => {
                return Err(wrong(
                    "without TLS others on the way read key and records: use https, or --insecure-http",
                ));
            }
            _ => return Err(wrong("it begins with neither https:// nor http://")),
        }
        Ok(Self(url.trim_end_matches('/').to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback() {
        for url in [
            "https://trail.example",
            "https://trail.example/minutebook/",
            "http://127.0.0.1:6262",
            "http://localhost:1",
            "http://[::1]:6262/",
        ] {
            let endpoint = Endpoint::parse(url, false).unwrap();
            assert!(!endpoint.as_str().ends_with('/'), "{url}");
        }
        assert!(Endpoint::parse("http://trail.example", false).is_err());
        assert!(Endpoint::parse("http://trail.example", true).is_ok());
        for url in [
            "",
            "trail.example",
            "ftp://trail.example",
            "https://",
            "https://trail.example?x=1",
            "https://trail.example#x",
        ] {
            assert!(Endpoint::parse(url, true).is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_in_it_is_refused_and_not_shown() {
        let error = Endpoint::parse("https://me:hunter2@trail.example", false).unwrap_err().to_string();
        assert!(error.contains("trail.example") && !error.contains("hunter2"), "{error}");
    }
}
