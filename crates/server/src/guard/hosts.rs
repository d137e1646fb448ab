//! Where a request says it goes and comes from: what a web page makes a browser send is refused (DNS rebinding, requests across sites). Edge: looks
//! at headers only.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{StatusCode, Version, header};
use std::net::IpAddr;

use crate::problem::Problem;

/// By which names a listener is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hosts {
    /// By those of this machine for itself: any other was made to point here.
    Loopback,
    /// By names that nobody has told us.
    Any,
}

impl Hosts {
    /// What is wrong with where a request says it goes or comes from.
    pub(crate) fn refuse(self, request: &Request) -> Option<Problem> {
        let refused = |title: &str, detail: &str| {
            Some(Problem::new(StatusCode::FORBIDDEN, "foreign-request", title, detail))
        };
        let Some(host) = host(request) else {
            return refused(
                "Not for this server",
                "it says nowhere, or more than once, whom it is for (`host`)",
            );
        };
        let in_target = request.uri().authority().is_none_or(names_loopback);
        if self == Self::Loopback && !(names_loopback(&host) && in_target) {
            let detail =
                "this server listens on loopback, and is spoken to as `localhost` or by its address only";
            return refused("Not for this server", detail);
        }
        let is_foreign = |origin: &[u8]| {
            let of = |scheme: &str| origin.eq_ignore_ascii_case(format!("{scheme}://{host}").as_bytes());
            !of("http") && !of("https")
        };
        if request.headers().get_all(header::ORIGIN).iter().any(|origin| is_foreign(origin.as_bytes())) {
            return refused(
                "A page of another site",
                "web pages of other sites do not speak to this server (`origin`)",
            );
        }
        None
    }
}

/// The one host that the request names; in HTTP/2 as `:authority` (RFC 9113, section 8.3.1).
fn host(request: &Request) -> Option<Authority> {
    let mut named = request.headers().get_all(header::HOST).iter();
    let Some(first) = named.next() else {
        return request.uri().authority().filter(|_| request.version() == Version::HTTP_2).cloned();
    };
    if named.next().is_some() { None } else { Authority::try_from(first.as_bytes()).ok() }
}

fn names_loopback(host: &Authority) -> bool {
    // Somebody's name and password before it: nothing that a client of ours sends.
    if host.as_str().contains('@') {
        return false;
    }
    let name = host.host();
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn is_refused(hosts: Hosts, target: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        hosts.refuse(&request.body(Body::empty()).unwrap()).is_some()
    }

    #[test]
    fn on_loopback_only_names_of_loopback_are_answered() {
        for host in
            ["localhost:6262", "LOCALHOST", "127.0.0.1:6262", "127.9.9.9", "[::1]:80", "[::ffff:127.0.0.1]"]
        {
            assert!(!is_refused(Hosts::Loopback, "/", &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:6262",
            "localhost.evil.example",
            "192.0.2.1",
            "0.0.0.0",
            "a@localhost",
            "",
        ] {
            assert!(is_refused(Hosts::Loopback, "/", &[("host", host)]), "{host}");
        }
        assert!(is_refused(Hosts::Loopback, "/", &[]));
        assert!(is_refused(Hosts::Loopback, "/", &[("host", "localhost"), ("host", "evil.example")]));
        assert!(is_refused(Hosts::Loopback, "http://evil.example/", &[("host", "localhost")]));
        assert!(!is_refused(Hosts::Any, "/", &[("host", "trail.example")]));
    }

    #[test]
    fn pages_of_other_sites_are_refused_everywhere() {
        for hosts in [Hosts::Loopback, Hosts::Any] {
            let with =
                |origin: &str| is_refused(hosts, "/", &[("host", "localhost:6262"), ("origin", origin)]);
            assert!(!with("http://localhost:6262") && !with("https://LOCALHOST:6262"));
            for foreign in [
                "null",
                "https://evil.example",
                "http://localhost",
                "http://localhost:6263",
                "localhost:6262",
                "",
            ] {
                assert!(with(foreign), "{foreign}");
            }
        }
    }
}
