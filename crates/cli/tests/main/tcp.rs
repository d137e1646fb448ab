use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::program::{Running, User};

/// Every role there is.
pub const EVERYTHING: &str =
    "recorder,analyst,investigator,auditor,privacy-officer,model-owner,administrator";

/// A server over TCP, and the user whose it is.
pub struct Server {
    pub user: User,
    pub address: SocketAddr,
    /// What the paths of its trail begin with.
    pub base: String,
    pub pid: Value,
    pub running: Running,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    /// As it came over a connection to its end.
    #[track_caller]
    pub fn read(stream: &mut impl Read) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("the end of a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: bytes[end + 4..].to_vec() }
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Requires a status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// Requires a problem with this status and code.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        let is = self.is(status);
        assert_eq!(is.json()["code"], code, "{is:?}");
        assert_eq!(is.headers["content-type"], "application/problem+json");
        is
    }
}

impl Server {
    /// One of a new trail, at any free port.
    #[track_caller]
    pub fn new() -> Self {
        Self::of(User::with_trail())
    }

    /// One of the trail of a user.
    #[track_caller]
    pub fn of(user: User) -> Self {
        Self::started(user, &[])
    }

    /// One of the trail of a new user and of others, which are made; the keys of each are in `keys` and its name.
    #[track_caller]
    pub fn among(others: &[&str]) -> Self {
        let more = [&["trail"], others, &["--create", "--keys", "keys"]].concat();
        Self::started(User::with_keys_in("keys/trail"), &more)
    }

    #[track_caller]
    fn started(user: User, more: &[&str]) -> Self {
        let running = user.start([&["serve", "--listen", "127.0.0.1:0", "--json"], more].concat());
        let line: Value = serde_json::from_str(&running.wait_for_lines(1)[0]).unwrap();
        let url = line["listen"].as_str().unwrap().strip_prefix("http://").unwrap();
        let (address, base) = url.split_at(url.find('/').unwrap_or(url.len()));
        let (address, base) = (address.parse().unwrap(), base.to_owned());
        Self { user, address, base, pid: line["pid"].clone(), running }
    }

    /// Makes a key of another trail beside this one.
    #[track_caller]
    pub fn key_of(&self, trail: &str, name: &str, roles: &str) -> String {
        let keys = format!("keys/{trail}");
        let mut arguments = vec!["api-key", "create", name, "--trail", trail, "--keys", &keys];
        roles.split(',').for_each(|role| arguments.extend(["--role", role]));
        self.user.run(arguments).ends(0).out.trim().to_owned()
    }

    /// Makes a key of these roles, with commas between.
    #[track_caller]
    pub fn key(&self, name: &str, roles: &str) -> String {
        self.key_for(name, roles, &[])
    }

    /// Makes one that is for models of these names.
    #[track_caller]
    pub fn key_for(&self, name: &str, roles: &str, models: &[&str]) -> String {
        let mut arguments = vec!["api-key", "create", name];
        roles.split(',').for_each(|role| arguments.extend(["--role", role]));
        models.iter().for_each(|model| arguments.extend(["--model", *model]));
        let ran = self.user.run(arguments).ends(0);
        ran.out.trim().to_owned()
    }

    /// Asks, and gives the answer. A path that begins with `/t/`, or is of health, is taken as it is.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let is_whole = path.starts_with("/t/") || ["/healthz", "/readyz"].contains(&path);
        let base = if is_whole { "" } else { &self.base };
        let mut head = format!(
            "{method} {base}{path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        // A server that refuses does not wait for all of it.
        let _ = stream.write_all(body);
        Answer::read(&mut stream)
    }

    /// Asks with a key, and says what for.
    #[track_caller]
    pub fn ask(&self, key: &str, method: &str, path: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {key}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("Minutebook-Purpose", "a test"),
        ];
        self.send(method, path, &headers, body.as_bytes())
    }

    /// Ends it as a service manager does, and gives back whose it was.
    #[track_caller]
    pub fn end(self) -> User {
        crate::program::signal(&self.pid, "-TERM");
        self.running.ended().ends(0);
        self.user
    }
}
